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

from tests.faults import backup
from tests.faults.processes import Process
from tests.faults.results_table import Book
from tests.faults.tokens import shop_of
from tests.faults.upstream import grown
from tests.faults.world import World, opened
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
HELD = grown(20, random.Random(0))
"""A tree that is implausible behind any other, and always the same."""


@dataclass(frozen=True)
class Work:
    """What a publisher does, and what is there before.

    `exits` are its exit codes; `recovers` are the words of the command that goes on after a kill,
    and `then` those of one that has to find nothing to do behind it;
    `decisive` is a point without which it was another work.
    """

    fault: str
    prepare: Callable[[World], Awaitable[None]]
    words: tuple[str, ...] = ("sync",)
    recovers: tuple[str, ...] = ("sync",)
    then: tuple[str, ...] = ()
    exits: frozenset[int] = frozenset({0})
    by_hand: bool = False
    held: bool = False
    decisive: str = COMMIT


async def nothing(_: World) -> None:
    """Have an empty Redis."""


async def imported(world: World) -> None:
    """Have polled."""
    assert await ran(world, "sync") == 0


async def changed(world: World) -> None:
    """Have another tree upstream than the one that was polled."""
    await imported(world)
    world.upstream.changes(world.chance)


async def damaged(world: World) -> None:
    """Have a row that was edited by hand, and another tree upstream."""
    await changed(world)
    await world.checker.look()
    row = b'{"id":"1","parent_id":"0","local_name":"by hand","is_leaf":false}'
    asked(world.server, "HSET", "catalog:{us}:categories", "1", row)


async def implausible(world: World) -> None:
    """Have a tree upstream that lacks most of what was polled."""
    await imported(world)
    world.upstream.becomes(grown(20, world.chance))


async def held_before(world: World) -> None:
    """Have a hold, and a plausible tree upstream."""
    tree = world.upstream.tree
    await implausible(world)
    assert await ran(world, "sync") == 3
    world.upstream.becomes(tree)
    world.upstream.changes(world.chance)


async def to_approve(world: World) -> None:
    """Have a hold, and somebody who approves it."""
    await implausible(world)
    assert await ran(world, "sync") == 3
    world.checker.approved(digest_of(world.upstream.tree))


async def to_approve_another(world: World) -> None:
    """Have a hold that somebody approves, while the source gives another implausible tree."""
    await imported(world)
    world.upstream.becomes(HELD)
    assert await ran(world, "sync") == 3
    world.checker.approved(digest_of(HELD))
    world.upstream.becomes(grown(20, world.chance))


async def of_another_origin(world: World) -> None:
    """Have polled with another locale, and another tree upstream."""
    world.settings = 'locale = "de-DE"\n'
    world.checker.origins.append(ORIGIN | {"locale": "de-DE"})
    await changed(world)
    world.settings = ""


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
async def test_every_point(work: Work, server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """After each kill all is as it was before or after; then the work is done once."""
    async with opened(folder, server, seed=seed, kinds=(), watched=False) as world:
        await work.prepare(world)
        keys = await backup.taken(world.client)
        alone = await begun(world, work, keys, last=0)
        assert await alone.ended() in work.exits, alone.err
        points = kill_points.points(alone.logs, among={work.decisive})
        for number, point in enumerate(points, 1):
            process = await begun(world, work, keys, last=number)
            assert await process.ended() == KILLED, process.err
            assert kill_points.points(process.logs)[-1] == point
            await world.checker.look()
            await recovered(world, work)
        if work.held:
            world.upstream.becomes(world.checker.tree)
        verdict = await world.verdict()
    book.ran(
        f"publisher killed at every point of {work.fault}", verdict, runs=len(points), seed=seed
    )


async def test_every_point_of_run(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """The daemon, from its first look at the leases on."""
    async with opened(folder, server, seed=seed, kinds=(), watched=False) as world:
        work = Work("run", changed, ("run",))
        await work.prepare(world)
        keys = await backup.taken(world.client)
        for number in range(1, POINTS_OF_RUN + 1):
            process = await begun(world, work, keys, last=number)
            assert await process.ended() == KILLED, process.err
            await world.checker.look()
            await recovered(world, work)
        kill_points.points(process.logs, among={COMMIT, STATUS})
        verdict = await world.verdict()
    fault = f"publisher killed at every one of the first {POINTS_OF_RUN} points of run"
    book.ran(fault, verdict, runs=POINTS_OF_RUN, seed=seed)


async def test_every_point_of_a_refresh(
    server: Valkey, folder: Path, book: Book, seed: int
) -> None:
    """A pair of tokens is stored before it is used, so there is always one that is good.

    Who is killed leaves the lock; that its 90 s are over is done here by its deletion.
    """
    async with (
        opened(folder, server, seed=seed, kinds=(), watched=False) as world,
        shop_of(world) as tokens,
    ):
        work = Work("a refresh of tokens", imported)
        await work.prepare(world)
        keys = await backup.taken(world.client)
        tokens.begin()
        alone = await begun(world, work, keys, last=0)
        assert await alone.ended() == 0, alone.err
        points = kill_points.points(alone.logs, among={work.decisive})
        for number in range(1, len(points) + 1):
            tokens.begin()
            process = await begun(world, work, keys, last=number)
            assert await process.ended() == KILLED, process.err
            for lock in asked(server, "KEYS", "*:tokens:*:lock"):
                asked(server, "DEL", lock)
            await recovered(world, work)
        verdict = await world.verdict()
        assert tokens.refused == 0
    fault = f"publisher killed at every point of {work.fault}"
    book.ran(fault, verdict, runs=len(points), seed=seed)


async def begun(world: World, work: Work, keys: backup.Backup, *, last: int) -> Process:
    """Have the keys as they were, and the work begun, which ends at its point `last`."""
    world.checker.broken("the same beginning again", by_hand=work.by_hand)
    await backup.put_back(world.client, keys)
    await world.checker.look()
    if not work.by_hand:
        world.checker.whole()
    return start(world, work.words, last)


async def recovered(world: World, work: Work) -> None:
    """Do the work again, left alone, and judge what it comes to."""
    begin = time.monotonic()
    assert await ran(world, *work.recovers) in work.exits
    if work.then:
        assert await ran(world, *work.then) == 0
    await world.checker.look()
    world.longest = max(world.longest, time.monotonic() - begin)
    world.checker.whole()
    if not work.held and world.checker.tree != world.upstream.tree:
        world.checker.found("lost", f"{work.fault}: the state is not what the source says")
    await world.checker.final()


async def ran(world: World, *words: str) -> int:
    """Run a command of the publisher to its end, and return its exit code."""
    return await start(world, words, last=0).ended()


def start(world: World, words: tuple[str, ...], last: int) -> Process:
    """Start a command of the publisher that ends at its point `last`."""
    digest = digest_of(world.upstream.tree)
    given = [digest if word == "DIGEST" else word for word in words]
    return world.publisher(*given, before=lambda folder: partial(kill_points.arm, folder, last))
