"""A publisher is stopped at every point while another one commits.

When it continues, its lock, state, lease and snapshot are out of date: nothing it does may count.
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
"""How often the server is set back while a publisher is stopped."""


async def test_every_point(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """A stopped publisher neither overwrites another commit nor reports a failure."""
    async with open_system(folder, server, seed=seed, kinds=(), checking=False) as system:
        assert await system.publisher("sync").wait_async() == 0
        system.source.change(system.rng)
        alone = start_stopping(system, at=0)
        assert await alone.wait_async() == 0, alone.err
        points = kill_points.points(alone.logs, among={"sent EVALSHA"})
        for number in range(1, len(points) + 1):
            await check_overtaken(system, number)
        verdict = await system.verdict()
    results.record(
        "publisher stopped at every point of a commit, while another one commits",
        verdict,
        runs=len(points),
        seed=seed,
    )


async def test_set_back(server: Valkey, folder: Path, results: ResultsRecorder, seed: int) -> None:
    """Stopped before its commit, it finds its epoch and sequence in another history."""
    async with open_system(folder, server, seed=seed, kinds=(), checking=False) as system:
        assert await system.publisher("sync").wait_async() == 0
        await system.checker.check()
        keys, tree = await redis_backup.take(system.client), system.source.tree
        trees = [renamed(tree, name) for name in ("one", "two", "three")]
        await publish(system, trees[0])
        system.source.serve_tree(trees[1])
        alone = start_stopping(system, at=0)
        assert await alone.wait_async() == 0, alone.err
        at = kill_points.points(alone.logs, among={BEFORE}).index(BEFORE) + 1
        for _ in range(ROUNDS):
            await set_back(system, keys)
            await publish(system, trees[0])
            system.source.serve_tree(trees[1])
            first = start_stopping(system, at=at)
            await eventually(lambda: is_stopped(first))  # noqa: B023  it is over before the next round
            await set_back(system, keys)
            await publish(system, trees[2])
            await resume_and_finish(system, first)
        verdict = await system.verdict()
    results.record(
        "publisher stopped before its commit, while the server is set back",
        verdict,
        runs=ROUNDS,
        seed=seed,
    )


def renamed(tree: Tree, name: str) -> Tree:
    """Return `tree` with another name for one category: one event leads to it."""
    return tree | {"1": tree["1"] | {"local_name": name}}


async def publish(system: System, tree: Tree) -> None:
    """Publish `tree`, and check it."""
    system.source.serve_tree(tree)
    assert await system.publisher("sync").wait_async() == 0
    await system.checker.check()


async def set_back(system: System, keys: redis_backup.Backup) -> None:
    """Restore the keys, from which another history continues."""
    system.checker.allow_break("set back")
    await redis_backup.restore(system.client, keys)
    await system.checker.check()
    system.checker.end_break()


async def check_overtaken(system: System, number: int) -> None:
    """Stop a publisher at point `number` while another one commits; continue it."""
    system.source.change(system.rng)
    first = start_stopping(system, at=number)
    await eventually(lambda: is_stopped(first))
    await system.checker.check()
    system.source.change(system.rng)
    assert await system.publisher("sync").wait_async() == 0
    await system.checker.check()
    await resume_and_finish(system, first)


async def resume_and_finish(system: System, first: Process) -> None:
    """Let an overtaken publisher continue, and poll once more."""
    begin = time.monotonic()
    first.resume()
    assert await first.wait_async() == 0, first.err
    await system.checker.check()
    assert await system.publisher("sync").wait_async() == 0
    await system.checker.final_check()
    system.longest_recovery = max(system.longest_recovery, time.monotonic() - begin)


def start_stopping(system: System, at: int) -> Process:
    """Start a publisher that stops at its point `at`; 0 means never."""
    arm = partial(kill_points.arm, last=at, by=signal.SIGSTOP)
    return system.publisher("sync", before=lambda folder: partial(arm, folder))


async def is_stopped(process: Process) -> bool:
    """Return whether SIGSTOP has stopped the process."""
    return process.is_stopped
