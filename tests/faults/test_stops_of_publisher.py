"""A publisher stands still at every point of a commit, while another one commits; then it goes on.

So it holds a lock that it lost, a state that is not the state any more, a lease that is over, a
snapshot that is older than the stream: whatever it does next must not count.
"""

import signal
import time
from functools import partial
from pathlib import Path

from tests.faults import redis_backup
from tests.faults.processes import Process
from tests.faults.results_table import ResultsRecorder
from tests.faults.system import System, open_system
from tests.support import kill_points
from tests.support.contract import Tree
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

BEFORE = "before EVALSHA"
ROUNDS = 3
"""Each of the server being set back while a publisher stands still."""


async def test_every_point(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """Who was stopped neither commits on top of what it did not see, nor says that it has failed."""
    async with open_system(folder, server, seed=seed, kinds=(), checking=False) as system:
        assert await system.publisher("sync").wait_async() == 0
        system.source.change(system.rng)
        alone = stopped(system, at=0)
        assert await alone.wait_async() == 0, alone.err
        points = kill_points.points(alone.logs, among={"sent EVALSHA"})
        for number in range(1, len(points) + 1):
            await overtaken(system, number)
        verdict = await system.verdict()
    results.record(
        "publisher stopped at every point of a commit, while another one commits",
        verdict,
        runs=len(points),
        seed=seed,
    )


async def test_set_back(server: Valkey, folder: Path, results: ResultsRecorder, seed: int) -> None:
    """Who was stopped before its commit finds its epoch and sequence again, in another history."""
    async with open_system(folder, server, seed=seed, kinds=(), checking=False) as system:
        assert await system.publisher("sync").wait_async() == 0
        await system.checker.check()
        keys, tree = await redis_backup.take(system.client), system.source.tree
        trees = [renamed(tree, name) for name in ("one", "two", "three")]
        await published(system, trees[0])
        system.source.serve_tree(trees[1])
        alone = stopped(system, at=0)
        assert await alone.wait_async() == 0, alone.err
        at = kill_points.points(alone.logs, among={BEFORE}).index(BEFORE) + 1
        for _ in range(ROUNDS):
            await set_back(system, keys)
            await published(system, trees[0])
            system.source.serve_tree(trees[1])
            first = stopped(system, at=at)
            await eventually(lambda: stands(first))  # noqa: B023  it is over before the next round
            await set_back(system, keys)
            await published(system, trees[2])
            await resume_and_finish(system, first)
        verdict = await system.verdict()
    results.record(
        "publisher stopped before its commit, while the server is set back",
        verdict,
        runs=ROUNDS,
        seed=seed,
    )


def renamed(tree: Tree, name: str) -> Tree:
    """Return `tree` with another name for one category: one event leads there."""
    return tree | {"1": tree["1"] | {"local_name": name}}


async def published(system: System, tree: Tree) -> None:
    """Have `tree` be the state."""
    system.source.serve_tree(tree)
    assert await system.publisher("sync").wait_async() == 0
    await system.checker.check()


async def set_back(system: System, keys: redis_backup.Backup) -> None:
    """Have the keys as they were, and from there on another history."""
    system.checker.allow_break("set back")
    await redis_backup.restore(system.client, keys)
    await system.checker.check()
    system.checker.end_break()


async def overtaken(system: System, number: int) -> None:
    """Stop a publisher at its point `number`, let another one commit, and the first one go on."""
    system.source.change(system.rng)
    first = stopped(system, at=number)
    await eventually(lambda: stands(first))
    await system.checker.check()
    system.source.change(system.rng)
    assert await system.publisher("sync").wait_async() == 0
    await system.checker.check()
    await resume_and_finish(system, first)


async def resume_and_finish(system: System, first: Process) -> None:
    """Let a publisher go on that was overtaken, and poll once more."""
    begin = time.monotonic()
    first.resume()
    assert await first.wait_async() == 0, first.err
    await system.checker.check()
    assert await system.publisher("sync").wait_async() == 0
    await system.checker.final_check()
    system.longest_recovery = max(system.longest_recovery, time.monotonic() - begin)


def stopped(system: System, at: int) -> Process:
    """Start a publisher that stands still at its point `at`; 0: it does not."""
    arm = partial(kill_points.arm, last=at, by=signal.SIGSTOP)
    return system.publisher("sync", before=lambda folder: partial(arm, folder))


async def stands(process: Process) -> bool:
    """Tell whether a process is stopped."""
    return process.is_stopped
