"""A publisher stands still at every point of a commit, while another one commits; then it goes on.

So it holds a lock that it lost, a state that is not the state any more, a lease that is over, a
snapshot that is older than the stream: whatever it does next must not count.
"""

import signal
import time
from functools import partial
from pathlib import Path

from tests.faults import mortal
from tests.faults.book import Book
from tests.faults.processes import Process
from tests.faults.world import World, opened
from tests.valkey import Valkey
from tests.waiting import eventually


async def test_every_point(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """Who was stopped neither commits on top of what it did not see, nor says that it has failed."""
    async with opened(folder, server, seed=seed, kinds=(), watched=False) as world:
        assert await world.publisher("sync").ended() == 0
        world.upstream.changes(world.chance)
        alone = stopped(world, at=0)
        assert await alone.ended() == 0, alone.err
        points = mortal.points(alone.logs, among={"sent EVALSHA"})
        for number in range(1, len(points) + 1):
            await overtaken(world, number)
        verdict = await world.verdict()
    book.ran(
        "publisher stopped at every point of a commit, while another one commits",
        verdict,
        runs=len(points),
        seed=seed,
    )


async def overtaken(world: World, number: int) -> None:
    """Stop a publisher at its point `number`, let another one commit, and the first one go on."""
    world.upstream.changes(world.chance)
    first = stopped(world, at=number)
    await eventually(lambda: stands(first))
    await world.checker.look()
    world.upstream.changes(world.chance)
    assert await world.publisher("sync").ended() == 0
    await world.checker.look()
    begin = time.monotonic()
    first.resume()
    assert await first.ended() == 0, first.err
    await world.checker.look()
    assert await world.publisher("sync").ended() == 0
    await world.checker.final()
    world.longest = max(world.longest, time.monotonic() - begin)


def stopped(world: World, at: int) -> Process:
    """Start a publisher that stands still at its point `at`; 0: it does not."""
    arm = partial(mortal.arm, last=at, by=signal.SIGSTOP)
    return world.publisher("sync", before=lambda folder: partial(arm, folder))


async def stands(process: Process) -> bool:
    """Tell whether a process is stopped."""
    return process.is_stopped
