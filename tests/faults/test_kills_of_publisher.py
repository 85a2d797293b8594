"""The publisher is killed at every point of its work: the next poll goes on as if nothing was.

A first run, left alone, tells all points of a piece of work. Then that work is begun anew from the
same keys for each of them, and ends there.
"""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.faults import redis_backup
from tests.faults.changing_source import random_tree
from tests.faults.processes import Process
from tests.faults.results_table import ResultsRecorder
from tests.faults.shop_tokens import shop_of
from tests.faults.system import System, open_system
from tests.support import kill_points
from tests.support.contract import ORIGIN, digest_of
from tests.support.redis_servers import asked
from tests.support.valkey import Valkey

KILLED = -9
POINTS_OF_RUN = 60
"""The daemon never ends; by then it has its lease, has polled and sleeps until it polls again."""
COMMIT = "sent EVALSHA"
STATUS = "sent MULTI HSET HSETNX EXEC"
HOLD = "sent SET"
HELD = random_tree(20, random.Random(0))
"""A tree that is implausible behind any other, and always the same."""


@dataclass(frozen=True)
class Work:
    """What a publisher does, and what is there before.

    `exits` are its exit codes; `recovers` are the words of the command that goes on after a kill,
    and `then` those of one that has to find nothing to do behind it;
    `decisive` is a point without which it was another work.
    """

    fault: str
    prepare: Callable[[System], Awaitable[None]]
    words: tuple[str, ...] = ("sync",)
    recovers: tuple[str, ...] = ("sync",)
    then: tuple[str, ...] = ()
    exits: frozenset[int] = frozenset({0})
    by_hand: bool = False
    held: bool = False
    decisive: str = COMMIT


async def nothing(_: System) -> None:
    """Have an empty Redis."""


async def imported(system: System) -> None:
    """Have polled."""
    assert await ran(system, "sync") == 0


async def changed(system: System) -> None:
    """Have another tree upstream than the one that was polled."""
    await imported(system)
    system.source.change(system.rng)


async def damaged(system: System) -> None:
    """Have a row that was edited by hand, and another tree upstream."""
    await changed(system)
    await system.checker.check()
    row = b'{"id":"1","parent_id":"0","local_name":"by hand","is_leaf":false}'
    asked(system.server, "HSET", "catalog:{us}:categories", "1", row)


async def implausible(system: System) -> None:
    """Have a tree upstream that lacks most of what was polled."""
    await imported(system)
    system.source.serve_tree(random_tree(20, system.rng))


async def held_before(system: System) -> None:
    """Have a hold, and a plausible tree upstream."""
    tree = system.source.tree
    await implausible(system)
    assert await ran(system, "sync") == 3
    system.source.serve_tree(tree)
    system.source.change(system.rng)


async def to_approve(system: System) -> None:
    """Have a hold, and somebody who approves it."""
    await implausible(system)
    assert await ran(system, "sync") == 3
    system.checker.allow_digest(digest_of(system.source.tree))


async def to_approve_another(system: System) -> None:
    """Have a hold that somebody approves, while the source gives another implausible tree."""
    await imported(system)
    system.source.serve_tree(HELD)
    assert await ran(system, "sync") == 3
    system.checker.allow_digest(digest_of(HELD))
    system.source.serve_tree(random_tree(20, system.rng))


async def of_another_origin(system: System) -> None:
    """Have polled with another locale, and another tree upstream."""
    system.catalog_settings = 'locale = "de-DE"\n'
    system.checker.origins.append(ORIGIN | {"locale": "de-DE"})
    await changed(system)
    system.catalog_settings = ""


WORKS = [
    Work("a first import", nothing),
    Work("a commit of additions, updates and removals", changed),
    Work("a poll without changes", imported, decisive=STATUS),
    Work("a repair", damaged, by_hand=True),
    Work("a poll that is held", implausible, exits=frozenset({3}), held=True, decisive=HOLD),
    Work("a poll that ends a hold", held_before),
    Work(
        "an approval",
        to_approve,
        ("approve", "us", "DIGEST"),
        ("approve", "us", "DIGEST"),
        exits=frozenset({0, 1}),
    ),
    Work(
        "an approval of what the source does not give any more",
        to_approve_another,
        ("approve", "us", digest_of(HELD)),
        ("approve", "us", digest_of(HELD)),
        exits=frozenset({3}),
        held=True,
        decisive=HOLD,
    ),
    Work(
        "a change of origin that is accepted",
        of_another_origin,
        ("sync", "us", "--accept-origin"),
        ("sync", "us", "--accept-origin"),
        then=("sync",),
    ),
]


@pytest.mark.parametrize("work", WORKS, ids=[work.fault for work in WORKS])
async def test_every_point(
    work: Work, server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """After each kill all is as it was before or after; then the work is done once."""
    async with open_system(folder, server, seed=seed, kinds=(), checking=False) as system:
        await work.prepare(system)
        keys = await redis_backup.take(system.client)
        alone = await begun(system, work, keys, last=0)
        assert await alone.wait_async() in work.exits, alone.err
        points = kill_points.points(alone.logs, among={work.decisive})
        for number, point in enumerate(points, 1):
            process = await begun(system, work, keys, last=number)
            assert await process.wait_async() == KILLED, process.err
            assert kill_points.points(process.logs)[-1] == point
            await system.checker.check()
            await recovered(system, work)
        if work.held:
            system.source.serve_tree(system.checker.tree)
        verdict = await system.verdict()
    results.record(
        f"publisher killed at every point of {work.fault}", verdict, runs=len(points), seed=seed
    )


async def test_every_point_of_run(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """The daemon, from its first look at the leases on."""
    async with open_system(folder, server, seed=seed, kinds=(), checking=False) as system:
        work = Work("run", changed, ("run",))
        await work.prepare(system)
        keys = await redis_backup.take(system.client)
        for number in range(1, POINTS_OF_RUN + 1):
            process = await begun(system, work, keys, last=number)
            assert await process.wait_async() == KILLED, process.err
            await system.checker.check()
            await recovered(system, work)
        kill_points.points(process.logs, among={COMMIT, STATUS})
        verdict = await system.verdict()
    fault = f"publisher killed at every one of the first {POINTS_OF_RUN} points of run"
    results.record(fault, verdict, runs=POINTS_OF_RUN, seed=seed)


async def test_every_point_of_a_refresh(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """A pair of tokens is stored before it is used, so there is always one that is good.

    Who is killed leaves the lock; that its 90 s are over is done here by its deletion.
    """
    async with (
        open_system(folder, server, seed=seed, kinds=(), checking=False) as system,
        shop_of(system) as tokens,
    ):
        work = Work("a refresh of tokens", imported)
        await work.prepare(system)
        keys = await redis_backup.take(system.client)
        tokens.begin()
        alone = await begun(system, work, keys, last=0)
        assert await alone.wait_async() == 0, alone.err
        points = kill_points.points(alone.logs, among={work.decisive})
        for number in range(1, len(points) + 1):
            tokens.begin()
            process = await begun(system, work, keys, last=number)
            assert await process.wait_async() == KILLED, process.err
            for lock in asked(server, "KEYS", "*:tokens:*:lock"):
                asked(server, "DEL", lock)
            await recovered(system, work)
        verdict = await system.verdict()
        assert tokens.refused == 0
    fault = f"publisher killed at every point of {work.fault}"
    results.record(fault, verdict, runs=len(points), seed=seed)


async def begun(system: System, work: Work, keys: redis_backup.Backup, *, last: int) -> Process:
    """Have the keys as they were, and the work begun, which ends at its point `last`."""
    system.checker.allow_break("the same beginning again", by_hand=work.by_hand)
    await redis_backup.restore(system.client, keys)
    await system.checker.check()
    if not work.by_hand:
        system.checker.end_break()
    return start(system, work.words, last)


async def recovered(system: System, work: Work) -> None:
    """Do the work again, left alone, and judge what it comes to."""
    begin = time.monotonic()
    assert await ran(system, *work.recovers) in work.exits
    if work.then:
        assert await ran(system, *work.then) == 0
    await system.checker.check()
    system.longest_recovery = max(system.longest_recovery, time.monotonic() - begin)
    system.checker.end_break()
    if not work.held and system.checker.tree != system.source.tree:
        system.checker.report("lost", f"{work.fault}: the state is not what the source says")
    await system.checker.final_check()


async def ran(system: System, *words: str) -> int:
    """Run a command of the publisher to its end, and return its exit code."""
    return await start(system, words, last=0).wait_async()


def start(system: System, words: tuple[str, ...], last: int) -> Process:
    """Start a command of the publisher that ends at its point `last`."""
    digest = digest_of(system.source.tree)
    given = [digest if word == "DIGEST" else word for word in words]
    return system.publisher(*given, before=lambda folder: partial(kill_points.arm, folder, last))
