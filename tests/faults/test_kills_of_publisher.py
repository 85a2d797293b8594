"""The publisher is killed at every point of its work: the next poll finishes it.

An undisturbed run lists all points of the work. Then the work is started from the same keys for each
point, and killed there.
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
from tests.faults.shop_tokens import open_shop
from tests.faults.system import System, open_system
from tests.support import kill_points
from tests.support.contract import ORIGIN, digest_of
from tests.support.redis_servers import execute_on
from tests.support.valkey import Valkey

KILLED = -9
POINTS_OF_RUN = 60
"""The daemon never ends; by then it has its lease, has polled, and waits for the next poll."""
COMMIT = "sent EVALSHA"
STATUS = "sent MULTI HSET HSETNX EXEC"
HOLD = "sent SET"
HELD = random_tree(20, random.Random(0))
"""A tree that is implausible after any other, and always the same."""


@dataclass(frozen=True)
class Work:
    """Something that a publisher does, and how it is prepared.

    `exits` are its exit codes; `recovers` are the arguments of the command that finishes it after a
    kill, `then` those of one that must find nothing to do after that; `decisive` is a point that proves
    that the work was done.
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
    """Leave Redis empty."""


async def imported(system: System) -> None:
    """Poll once."""
    assert await run_to_end(system, "sync") == 0


async def changed(system: System) -> None:
    """Poll once, and change the tree of the source."""
    await imported(system)
    system.source.change(system.rng)


async def damaged(system: System) -> None:
    """Edit a row by hand, and change the tree of the source."""
    await changed(system)
    await system.checker.check()
    row = b'{"id":"1","parent_id":"0","local_name":"by hand","is_leaf":false}'
    execute_on(system.server, "HSET", "catalog:{us}:categories", "1", row)


async def implausible(system: System) -> None:
    """Poll once, and serve a tree without most categories."""
    await imported(system)
    system.source.serve_tree(random_tree(20, system.rng))


async def held_before(system: System) -> None:
    """Make a hold, and serve a plausible tree."""
    tree = system.source.tree
    await implausible(system)
    assert await run_to_end(system, "sync") == 3
    system.source.serve_tree(tree)
    system.source.change(system.rng)


async def to_approve(system: System) -> None:
    """Make a hold that is going to be approved."""
    await implausible(system)
    assert await run_to_end(system, "sync") == 3
    system.checker.allow_digest(digest_of(system.source.tree))


async def to_approve_another(system: System) -> None:
    """Make a hold that is going to be approved while the source serves another tree."""
    await imported(system)
    system.source.serve_tree(HELD)
    assert await run_to_end(system, "sync") == 3
    system.checker.allow_digest(digest_of(HELD))
    system.source.serve_tree(random_tree(20, system.rng))


async def of_another_origin(system: System) -> None:
    """Poll with another locale, and change the tree of the source."""
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
    """After each kill everything is as before or as after; then the work is done once."""
    async with open_system(folder, server, seed=seed, kinds=(), checking=False) as system:
        await work.prepare(system)
        keys = await redis_backup.take(system.client)
        alone = await start_work(system, work, keys, last=0)
        assert await alone.wait_async() in work.exits, alone.err
        points = kill_points.points(alone.logs, among={work.decisive})
        for number, point in enumerate(points, 1):
            process = await start_work(system, work, keys, last=number)
            assert await process.wait_async() == KILLED, process.err
            assert kill_points.points(process.logs)[-1] == point
            await system.checker.check()
            await recover(system, work)
        if work.held:
            system.source.serve_tree(system.checker.tree)
        verdict = await system.verdict()
    results.record(
        f"publisher killed at every point of {work.fault}", verdict, runs=len(points), seed=seed
    )


async def test_every_point_of_run(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """The daemon is killed at its first points, from reading the leases on."""
    async with open_system(folder, server, seed=seed, kinds=(), checking=False) as system:
        work = Work("run", changed, ("run",))
        await work.prepare(system)
        keys = await redis_backup.take(system.client)
        for number in range(1, POINTS_OF_RUN + 1):
            process = await start_work(system, work, keys, last=number)
            assert await process.wait_async() == KILLED, process.err
            await system.checker.check()
            await recover(system, work)
        kill_points.points(process.logs, among={COMMIT, STATUS})
        verdict = await system.verdict()
    fault = f"publisher killed at every one of the first {POINTS_OF_RUN} points of run"
    results.record(fault, verdict, runs=POINTS_OF_RUN, seed=seed)


async def test_every_point_of_a_refresh(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """A pair of tokens is stored before it is used, so one is always valid.

    A killed publisher leaves its lock; instead of waiting 90 s the test deletes it.
    """
    async with (
        open_system(folder, server, seed=seed, kinds=(), checking=False) as system,
        open_shop(system) as tokens,
    ):
        work = Work("a refresh of tokens", imported)
        await work.prepare(system)
        keys = await redis_backup.take(system.client)
        tokens.reset()
        alone = await start_work(system, work, keys, last=0)
        assert await alone.wait_async() == 0, alone.err
        points = kill_points.points(alone.logs, among={work.decisive})
        for number in range(1, len(points) + 1):
            tokens.reset()
            process = await start_work(system, work, keys, last=number)
            assert await process.wait_async() == KILLED, process.err
            for lock in execute_on(server, "KEYS", "*:tokens:*:lock"):
                execute_on(server, "DEL", lock)
            await recover(system, work)
        verdict = await system.verdict()
        assert tokens.refused == 0
    fault = f"publisher killed at every point of {work.fault}"
    results.record(fault, verdict, runs=len(points), seed=seed)


async def start_work(
    system: System, work: Work, keys: redis_backup.Backup, *, last: int
) -> Process:
    """Restore the keys, and start the work, which is killed at its point `last`."""
    system.checker.allow_break("the same beginning again", by_hand=work.by_hand)
    await redis_backup.restore(system.client, keys)
    await system.checker.check()
    if not work.by_hand:
        system.checker.end_break()
    return start(system, work.words, last)


async def recover(system: System, work: Work) -> None:
    """Do the work again without a kill, and check the result."""
    begin = time.monotonic()
    assert await run_to_end(system, *work.recovers) in work.exits
    if work.then:
        assert await run_to_end(system, *work.then) == 0
    await system.checker.check()
    system.longest_recovery = max(system.longest_recovery, time.monotonic() - begin)
    system.checker.end_break()
    if not work.held and system.checker.tree != system.source.tree:
        system.checker.report("lost", f"{work.fault}: the state is not the tree of the source")
    await system.checker.final_check()


async def run_to_end(system: System, *words: str) -> int:
    """Run a command of the publisher to its end, and return its exit code."""
    return await start(system, words, last=0).wait_async()


def start(system: System, words: tuple[str, ...], last: int) -> Process:
    """Start a command that is killed at its point `last`; 0 means never."""
    digest = digest_of(system.source.tree)
    given = [digest if word == "DIGEST" else word for word in words]
    return system.publisher(*given, before=lambda folder: partial(kill_points.arm, folder, last))
