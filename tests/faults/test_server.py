"""The server dies, is stopped, forgets, is set back, is full: nothing lost, doubled or torn."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from tests.faults import servers
from tests.faults.conftest import Made
from tests.faults.processes import Process
from tests.faults.results_table import Book
from tests.faults.servers import Clock
from tests.faults.world import LEASE_SECONDS, SETTLE_SECONDS, World, opened
from tests.support import full_disk
from tests.support.processes import PUBLISHER, start
from tests.support.redis_servers import Sentinels, asked, is_said_again, times_said
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

ROUNDS = 4
WAITS = "no valid state, waiting"
"""What a consumer logs once it has seen that there is nothing to resync to."""
RESYNCED = "resynced"
"""What a consumer logs after each reset."""
KEPT = 10
"""Events that a stream keeps which is to be trimmed beyond what a consumer has."""


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
async def test_killed(policy: str, made: Made, folder: Path, book: Book, seed: int) -> None:
    """Kill -9 at any moment, and start again on what was written."""
    server = made("--appendfsync", policy)
    async with opened(folder, server, seed=seed) as world:
        world.start(publishers=2)
        await world.settled()
        for _ in range(ROUNDS):
            await world.changes()
            server.kill()
            server.start()
            await world.settled()
        verdict = await world.verdict()
    book.ran(f"kill -9 of the server, appendfsync {policy}", verdict, runs=ROUNDS, seed=seed)


@pytest.mark.parametrize(
    ("policy", "unsure", "rounds"),
    [("always", 0, ROUNDS), ("everysec", 1, 3 * ROUNDS), ("no", 2, 2 * ROUNDS)],
)
async def test_power_cut(
    policy: str, unsure: int, rounds: int, made: Made, folder: Path, book: Book, seed: int
) -> None:
    """The end of the append-only file is gone, any number of bytes of the last `unsure` rounds.

    With `always` nothing is cut off: that what was acknowledged is on the disk by then is the word of
    the server and of the disk, and not tried here. So all of it has to be there again.

    On Redis 7 some of a lost commit's events come back with a later start, without its state: what
    makes the copies right then is that no event is followed that does not connect.
    """
    server, lost = made("--appendfsync", policy), 0
    sizes: list[int] = []
    async with opened(folder, server, seed=seed, categories=400) as world:
        world.start(publishers=2)
        await world.settled()
        for _ in range(rounds):
            sizes.append(servers.written(server))
            await world.changes()
            since = sizes[-unsure:][0] if unsure else None
            world.checker.broken("the power failed", by_hand=servers.tears(server))
            lost += await servers.cut_power(world, since)
            await world.settled()
        verdict = await world.verdict()
    gone = "the last writes are gone" if unsure else "nothing is cut off"
    fault = f"power cut, appendfsync {policy}: {gone}"
    book.ran(fault, verdict, runs=rounds, seed=seed, server_lost=lost)
    assert (lost > 0) == (unsure > 0)


async def test_restarted(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """SHUTDOWN or SIGTERM, then a start on the same data: nothing happened but a pause."""
    async with opened(folder, server, seed=seed) as world:
        world.start(publishers=2)
        await world.settled()
        for number in range(ROUNDS):
            await world.changes()
            down = servers.shut_down if number % 2 else servers.terminate
            if await servers.restarted(world, down=down):
                world.checker.found("lost", "the server does not have what it had")
            await world.settled()
        verdict = await world.verdict()
    book.ran("restart: SHUTDOWN or SIGTERM, same data", verdict, runs=ROUNDS, seed=seed)


async def test_wiped(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """FLUSHALL, or a start without any data: nobody is emptied, and a new history begins.

    At first the publishers stand still until all consumers have seen it, and then they do not.
    """
    async with opened(folder, server, seed=seed) as world:
        world.start(publishers=2)
        await world.settled()
        lost = 0
        for number in range(ROUNDS):
            world.checker.broken("wiped")
            before = servers.epoch(server)
            async with _unmended(world) if number < ROUNDS // 2 else nullcontext():
                if number % 2:
                    asked(server, "FLUSHALL")
                else:
                    server.kill()
                    for file in (server.folder / "appendonlydir").iterdir():
                        file.unlink()
                    server.start()
                lost += servers.epoch(server) != before
            await world.changes()
            await world.settled()
        verdict = await world.verdict()
    fault = "wiped: FLUSHALL, or started without its data"
    book.ran(fault, verdict, runs=ROUNDS, seed=seed, server_lost=lost)
    assert lost == ROUNDS


@asynccontextmanager
async def _unmended(world: World) -> AsyncIterator[None]:
    """Have no publisher mend what happens, until all consumers wait or the judge has a finding."""
    before = _logged(world, WAITS)

    async def is_seen() -> bool:
        return await _all_log(world, WAITS, before) or bool(world.checker.findings)

    await _paused(world.publishers)
    yield
    await eventually(is_seen, within=SETTLE_SECONDS)
    for publisher in world.publishers:
        publisher.resume()


async def test_old_backup(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """Set back by one, two, three … commits, and another history goes on from there.

    The tree is so large that what changed since the oldest backup is no reason for a hold.
    """
    async with opened(folder, server, seed=seed, categories=400) as world:
        world.start(publishers=2)
        await world.settled()
        backups = []
        for number in range(ROUNDS):
            backups.append(servers.backed_up(server, f"backup-{number}"))
            await world.changes()
            await world.settled()
        lost = 0
        for backup in reversed(backups):
            world.checker.broken("restored from an old backup")
            lost += await servers.restore(world, backup)
            await world.changes(1)
            await world.settled()
        verdict = await world.verdict()
    fault = "restored from an old backup"
    book.ran(fault, verdict, runs=ROUNDS, seed=seed, server_lost=lost)
    assert lost == ROUNDS


async def test_lagging_replica(binary: str, folder: Path, book: Book, seed: int) -> None:
    """The primary dies; its replica, which lacks the last commits, becomes primary (Sentinel)."""
    sentinels = Sentinels(folder, count=1, binary=binary)
    sentinels.start()
    try:
        async with opened(folder, sentinels.primary, seed=seed) as world:
            world.publisher_redis = world.consumer_redis = sentinels.url
            world.start(publishers=2)
            await world.settled()
            await world.client.wait(1, 5000)
            sentinels.replica.pause()
            asked(sentinels.primary, "CLIENT", "KILL", "TYPE", "replica")
            await world.changes(5)
            await world.settled()
            world.checker.broken("the replica lags")
            before = servers.position(sentinels.primary)
            sentinels.primary.kill()
            sentinels.replica.resume()
            has_lost = servers.position(sentinels.replica) != before
            await world.moved_to(sentinels.replica)
            world.upstream.changes(world.chance)
            await world.settled()
            verdict = await world.verdict()
    finally:
        sentinels.kill()
    book.ran("promotion of a replica that lags", verdict, seed=seed, server_lost=has_lost)
    assert has_lost


async def test_full_memory(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """Whatever the limit is when it is met (noeviction), a commit is made whole or refused."""
    async with opened(folder, server, seed=seed) as world:
        world.start(publishers=2)
        await world.settled()
        for number in range(2 * ROUNDS):
            used = asked(server, "INFO", "memory")["used_memory"]
            limit = used + world.chance.randint(-100_000, 100_000 * (number % 2))
            asked(server, "CONFIG", "SET", "maxmemory", limit)
            await world.changes()
            asked(server, "CONFIG", "SET", "maxmemory", 0)
            await world.settled()
        verdict = await world.verdict()
        assert times_said({"OOM"}, server) >= ROUNDS
    book.ran("full memory, noeviction", verdict, runs=2 * ROUNDS, seed=seed)


async def test_evicted(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """A server that throws keys away (allkeys-random): repaired, and no copy shows less."""
    async with opened(folder, server, seed=seed) as world:
        world.start(publishers=2)
        await world.settled()
        asked(server, "CONFIG", "SET", "maxmemory-policy", "allkeys-random")
        lost = 0
        for _ in range(2 * ROUNDS):
            world.checker.broken("keys are evicted", by_hand=True)
            evicted = servers.evicted(server)
            used = asked(server, "INFO", "memory")["used_memory"]
            asked(server, "CONFIG", "SET", "maxmemory", used - 1)
            await world.changes(1)
            asked(server, "CONFIG", "SET", "maxmemory", 0)
            lost += servers.evicted(server) > evicted
            await world.changes(1)
            await world.settled()
        verdict = await world.verdict()
    fault = "full memory, keys evicted"
    book.ran(fault, verdict, runs=2 * ROUNDS, seed=seed, server_lost=lost)
    assert lost > 0


async def test_full_disk(binary: str, folder: Path, book: Book, seed: int) -> None:
    """Writes are refused while the append-only file cannot grow; then the server goes on, or dies."""
    (home := folder / "redis").mkdir()
    with Valkey(home, binary=full_disk.deaf(folder, binary)) as server:
        async with opened(folder, server, seed=seed) as world:
            world.start(publishers=2)
            await world.settled()
            lost = 0
            for number in range(ROUNDS):
                said = times_said({"MISCONF"}, server)
                full_disk.fill(server)
                await world.changes()
                is_refused = partial(is_said_again, said, {"MISCONF"}, server)
                await eventually(is_refused, within=SETTLE_SECONDS)
                if number % 2:
                    world.checker.broken("what was in memory only is gone")
                    lost += await servers.restarted(world)
                else:
                    full_disk.make_room(server)
                await world.settled()
            verdict = await world.verdict()
    fault = "full disk, then room again, or kill -9"
    book.ran(fault, verdict, runs=ROUNDS, seed=seed, server_lost=lost)


async def test_stopped_server(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """SIGSTOP of the server for longer than the leases."""
    async with opened(folder, server, seed=seed) as world:
        world.start(publishers=2)
        await world.settled()
        for _ in range(2):
            await world.changes()
            server.pause()
            await world.changes()
            await asyncio.sleep(1.5 * LEASE_SECONDS)
            server.resume()
            await world.settled()
        verdict = await world.verdict()
    book.ran("server stopped for longer than the leases", verdict, runs=2, seed=seed)


async def test_stopped_publisher(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """SIGSTOP of each publisher for longer than its lease, while it waits for an answer.

    The other goes on meanwhile; what the first had been told by then is not committed any more.
    """
    async with opened(folder, server, seed=seed) as world:
        world.start(publishers=2)
        await world.settled()
        for number in range(ROUNDS):
            stopped = world.publishers[number % 2]
            await world.changes(1)
            stopped.pause()
            await world.changes()
            await world.settled()
            position = world.checker.position
            stopped.resume()
            await asyncio.sleep(LEASE_SECONDS / 2)
            await world.settled()
            if world.checker.position != position:
                world.checker.found("doubled", "what was polled long ago was committed")
        verdict = await world.verdict()
    fault = "publisher stopped for longer than its lease"
    book.ran(fault, verdict, runs=ROUNDS, seed=seed)


async def test_stopped_consumers(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """SIGSTOP of the consumers while the stream is trimmed beyond their checkpoints: all resync."""
    async with opened(folder, server, seed=seed, keep_events=KEPT) as world:
        world.settings = f"retention = {{ max_events = {KEPT} }}\n"
        world.start()
        await world.settled()
        for _ in range(ROUNDS):
            await _paused(world.consumers.values())
            before = _logged(world, RESYNCED)
            await _trimmed(world)
            assert asked(server, "XLEN", "catalog:{us}:events") == KEPT
            for consumer in world.consumers.values():
                consumer.resume()
            await world.settled()
            await eventually(partial(_all_log, world, RESYNCED, before), within=SETTLE_SECONDS)
        verdict = await world.verdict()
    book.ran("consumers stopped while the stream is trimmed", verdict, runs=ROUNDS, seed=seed)


async def _trimmed(world: World) -> None:
    """Have so much committed that who is stopped misses some: the first commit it may have got."""
    await _committed(world)
    first = servers.sequence(world.server)
    while servers.sequence(world.server) <= first + KEPT:
        await _committed(world)


async def _committed(world: World) -> None:
    """Let the source have another tree, and wait until it is the state."""

    async def is_state() -> bool:
        return world.checker.tree == world.upstream.tree

    await world.changes(1)
    await eventually(is_state, within=SETTLE_SECONDS)


async def _paused(processes: Collection[Process]) -> None:
    """Stop them; a signal takes its time."""

    async def stand() -> bool:
        return all(each.is_stopped for each in processes)

    for process in processes:
        process.pause()
    await eventually(stand, within=SETTLE_SECONDS)


def _logged(world: World, what: str) -> dict[str, int]:
    """Return how often each consumer has logged `what`."""
    return {name: each.err.count(what) for name, each in world.consumers.items()}


async def _all_log(world: World, what: str, before: dict[str, int]) -> bool:
    """Tell whether each consumer has logged `what` since it was `before` so often."""
    return all(times > before[name] for name, times in _logged(world, what).items())


@pytest.fixture
def clock(folder: Path) -> Clock:
    """Give a clock to set."""
    if not servers.FAKETIME.exists():
        pytest.skip("libfaketime is not here: install the system package faketime")
    return Clock(folder)


async def test_servers_clock(
    binary: str, clock: Clock, folder: Path, book: Book, seed: int
) -> None:
    """The server's clock is set back by a day, forward by sixty (the retention is thirty), right."""
    (home := folder / "redis").mkdir()
    with Valkey(home, binary=clock.worn_by(folder, binary)) as server:
        async with opened(folder, server, seed=seed) as world:
            world.start(publishers=2)
            await world.settled()
            for days in (-1, 60, 0):
                await _set_while_working(world, clock, days)
                assert clock.shows(asked(server, "TIME")[0])
            verdict = await world.verdict()
    book.ran("server's clock set back and forward", verdict, runs=3, seed=seed)


async def test_publishers_clock(
    server: Valkey, clock: Clock, folder: Path, book: Book, seed: int
) -> None:
    """The publisher's clock is set back by a day, forward by two, right, while it polls."""
    async with opened(folder, server, seed=seed) as world:
        publisher = start(PUBLISHER, "run", cwd=world.configured(), **clock.variables)
        try:
            world.start(publishers=0)
            await world.settled()
            for days in (-1, 2, 0):
                await _set_while_working(world, clock, days)
                committed_at = asked(server, "HGET", "catalog:{us}:meta", "committed_at").decode()
                assert clock.shows(datetime.fromisoformat(committed_at).timestamp())
            verdict = await world.verdict()
        finally:
            publisher.kill()
            publisher.communicate()
    book.ran("publisher's clock set back and forward", verdict, runs=3, seed=seed)


async def _set_while_working(world: World, clock: Clock, days: int) -> None:
    clock.set(days)
    for _ in range(20):
        await world.changes(1)
        await asyncio.sleep(0.1)
    await world.settled()
