"""A publisher stands still at every point of a commit, while another one commits; then it goes on.

So it holds a lock that it lost, a state that is not the state any more, a lease that is over, a
snapshot that is older than the stream: whatever it does next must not count.
"""

import signal
import time
from functools import partial
from pathlib import Path

from tests.faults import backup
from tests.faults.processes import Process
from tests.faults.results_table import Book
from tests.faults.world import World, opened
from tests.support import kill_points
from tests.support.contract import Tree
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

BEFORE = "before EVALSHA"
ROUNDS = 3
"""Each of the server being set back while a publisher stands still."""


async def test_every_point(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """Who was stopped neither commits on top of what it did not see, nor says that it has failed."""
    async with opened(folder, server, seed=seed, kinds=(), watched=False) as world:
        assert await world.publisher("sync").ended() == 0
        world.upstream.changes(world.chance)
        alone = stopped(world, at=0)
        assert await alone.ended() == 0, alone.err
        points = kill_points.points(alone.logs, among={"sent EVALSHA"})
        for number in range(1, len(points) + 1):
            await overtaken(world, number)
        verdict = await world.verdict()
    book.ran(
        "publisher stopped at every point of a commit, while another one commits",
        verdict,
        runs=len(points),
        seed=seed,
    )


async def test_set_back(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """Who was stopped before its commit finds its epoch and sequence again, in another history."""
    async with opened(folder, server, seed=seed, kinds=(), watched=False) as world:
        assert await world.publisher("sync").ended() == 0
        await world.checker.look()
        keys, tree = await backup.taken(world.client), world.upstream.tree
        trees = [renamed(tree, name) for name in ("one", "two", "three")]
        await published(world, trees[0])
        world.upstream.becomes(trees[1])
        alone = stopped(world, at=0)
        assert await alone.ended() == 0, alone.err
        at = kill_points.points(alone.logs, among={BEFORE}).index(BEFORE) + 1
        for _ in range(ROUNDS):
            await set_back(world, keys)
            await published(world, trees[0])
            world.upstream.becomes(trees[1])
            first = stopped(world, at=at)
            await eventually(lambda: stands(first))  # noqa: B023  it is over before the next round
            await set_back(world, keys)
            await published(world, trees[2])
            await resume_and_finish(world, first)
        verdict = await world.verdict()
    book.ran(
        "publisher stopped before its commit, while the server is set back",
        verdict,
        runs=ROUNDS,
        seed=seed,
    )


def renamed(tree: Tree, name: str) -> Tree:
    """Return `tree` with another name for one category: one event leads there."""
    return tree | {"1": tree["1"] | {"local_name": name}}


async def published(world: World, tree: Tree) -> None:
    """Have `tree` be the state."""
    world.upstream.becomes(tree)
    assert await world.publisher("sync").ended() == 0
    await world.checker.look()


async def set_back(world: World, keys: backup.Backup) -> None:
    """Have the keys as they were, and from there on another history."""
    world.checker.broken("set back")
    await backup.put_back(world.client, keys)
    await world.checker.look()
    world.checker.whole()


async def overtaken(world: World, number: int) -> None:
    """Stop a publisher at its point `number`, let another one commit, and the first one go on."""
    world.upstream.changes(world.chance)
    first = stopped(world, at=number)
    await eventually(lambda: stands(first))
    await world.checker.look()
    world.upstream.changes(world.chance)
    assert await world.publisher("sync").ended() == 0
    await world.checker.look()
    await resume_and_finish(world, first)


async def resume_and_finish(world: World, first: Process) -> None:
    """Let a publisher go on that was overtaken, and poll once more."""
    begin = time.monotonic()
    first.resume()
    assert await first.ended() == 0, first.err
    await world.checker.look()
    assert await world.publisher("sync").ended() == 0
    await world.checker.final()
    world.longest = max(world.longest, time.monotonic() - begin)


def stopped(world: World, at: int) -> Process:
    """Start a publisher that stands still at its point `at`; 0: it does not."""
    arm = partial(kill_points.arm, last=at, by=signal.SIGSTOP)
    return world.publisher("sync", before=lambda folder: partial(arm, folder))


async def stands(process: Process) -> bool:
    """Tell whether a process is stopped."""
    return process.is_stopped
