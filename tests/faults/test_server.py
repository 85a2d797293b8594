"""The server dies, is stopped, forgets, is set back, is full: nothing lost, doubled or torn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import pytest

from tests import full_disk
from tests.commands.process import PUBLISHER, start
from tests.faults import servers
from tests.faults.book import Book
from tests.faults.conftest import Made
from tests.faults.servers import Clock
from tests.faults.world import LEASE_SECONDS, SETTLE_SECONDS, World, opened
from tests.redis_servers import Sentinels, asked
from tests.valkey import Valkey
from tests.waiting import eventually

ROUNDS = 4
WAITS = "waiting for a state"
"""What a consumer logs once it has seen that there is nothing to resync to."""


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


async def test_power_cut(made: Made, folder: Path, book: Book, seed: int) -> None:
    """The last second of the append-only file is gone, any number of bytes of it.

    On Redis 7 some of a lost commit's events come back with a later start, without its state: what
    makes the copies right then is that no event is followed that does not connect.
    """
    server, rounds, lost = made("--appendfsync", "everysec"), 3 * ROUNDS, 0
    async with opened(folder, server, seed=seed) as world:
        world.start(publishers=2)
        await world.settled()
        for _ in range(rounds):
            since = servers.written(server)
            await world.changes()
            world.checker.broken("the power failed", by_hand=servers.tears(server))
            lost += servers.cut_power(server, since, world.chance, world.publishers)
            await world.settled()
        verdict = await world.verdict()
    fault = "power cut, appendfsync everysec: the last writes are gone"
    book.ran(fault, verdict, runs=rounds, seed=seed, server_lost=lost)
    assert lost > 0


async def test_wiped(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """FLUSHALL, or a start without any data: nobody is emptied, and a new history begins.

    At first the publishers stand still until all consumers have seen it, and then they do not.
    """
    async with opened(folder, server, seed=seed) as world:
        world.start(publishers=2)
        await world.settled()
        for number in range(ROUNDS):
            world.checker.broken("wiped")
            async with _unmended(world) if number < ROUNDS // 2 else nullcontext():
                if number % 2:
                    asked(server, "FLUSHALL")
                else:
                    server.kill()
                    for file in (server.folder / "appendonlydir").iterdir():
                        file.unlink()
                    server.start()
            await world.changes()
            await world.settled()
        verdict = await world.verdict()
    book.ran("wiped: FLUSHALL, or started without its data", verdict, runs=ROUNDS, seed=seed)


@asynccontextmanager
async def _unmended(world: World) -> AsyncIterator[None]:
    """Have no publisher mend what happens, until all consumers wait or the judge has a finding."""
    before = {name: each.err.count(WAITS) for name, each in world.consumers.items()}

    async def is_seen() -> bool:
        logs = {name: each.err for name, each in world.consumers.items()}
        wait = all(log.count(WAITS) > before[name] for name, log in logs.items())
        return wait or bool(world.checker.findings)

    for publisher in world.publishers:
        publisher.pause()
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
        for backup in reversed(backups):
            world.checker.broken("restored from an old backup")
            servers.restore(server, backup)
            await world.changes(1)
            await world.settled()
        verdict = await world.verdict()
    fault = "restored from an old backup"
    book.ran(fault, verdict, runs=ROUNDS, seed=seed, server_lost=ROUNDS)


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
            sentinels.primary.kill()
            sentinels.replica.resume()
            await world.moved_to(sentinels.replica)
            world.upstream.changes(world.chance)
            await world.settled()
            verdict = await world.verdict()
    finally:
        sentinels.kill()
    book.ran("promotion of a replica that lags", verdict, seed=seed, server_lost=1)


async def test_full_memory(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """Whatever the limit is when it is met (noeviction), a commit is made whole or refused."""
    async with opened(folder, server, seed=seed) as world:
        world.start(publishers=2)
        await world.settled()
        for _ in range(2 * ROUNDS):
            used = asked(server, "INFO", "memory")["used_memory"]
            limit = used + world.chance.randint(-100_000, 100_000)
            asked(server, "CONFIG", "SET", "maxmemory", limit)
            await world.changes()
            asked(server, "CONFIG", "SET", "maxmemory", 0)
            await world.settled()
        verdict = await world.verdict()
    book.ran("full memory, noeviction", verdict, runs=2 * ROUNDS, seed=seed)


async def test_evicted(server: Valkey, folder: Path, book: Book, seed: int) -> None:
    """A server that throws keys away (allkeys-random): repaired, and no copy shows less."""
    async with opened(folder, server, seed=seed) as world:
        world.start(publishers=2)
        await world.settled()
        asked(server, "CONFIG", "SET", "maxmemory-policy", "allkeys-random")
        for _ in range(2 * ROUNDS):
            world.checker.broken("keys are evicted", by_hand=True)
            used = asked(server, "INFO", "memory")["used_memory"]
            asked(server, "CONFIG", "SET", "maxmemory", used - 1)
            await world.changes(1)
            asked(server, "CONFIG", "SET", "maxmemory", 0)
            await world.changes(1)
            await world.settled()
        verdict = await world.verdict()
    book.ran("full memory, keys evicted", verdict, runs=2 * ROUNDS, seed=seed)


async def test_full_disk(binary: str, folder: Path, book: Book, seed: int) -> None:
    """Writes are refused while the append-only file cannot grow; then the server goes on, or dies."""
    (home := folder / "redis").mkdir()
    with Valkey(home, binary=full_disk.deaf(folder, binary)) as server:
        async with opened(folder, server, seed=seed) as world:
            world.start(publishers=2)
            await world.settled()
            for number in range(ROUNDS):
                full_disk.fill(server)
                await world.changes()
                if number % 2:
                    world.checker.broken("what was in memory only is gone")
                    server.kill()
                    server.start()
                else:
                    full_disk.make_room(server)
                await world.settled()
            verdict = await world.verdict()
    book.ran("full disk, then room again, or kill -9", verdict, runs=ROUNDS, seed=seed)


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
    """SIGSTOP of the consumers while the stream is trimmed far beyond their checkpoints."""
    async with opened(folder, server, seed=seed, keep_events=10) as world:
        world.settings = "retention = { max_events = 10 }\n"
        world.start()
        await world.settled()
        for _ in range(ROUNDS):
            for consumer in world.consumers.values():
                consumer.pause()
            await world.changes(6)
            for consumer in world.consumers.values():
                consumer.resume()
            await world.settled()
        verdict = await world.verdict()
    book.ran("consumers stopped while the stream is trimmed", verdict, runs=ROUNDS, seed=seed)


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
            for offset in ("-1d", "+60d", "+0"):
                await _set_while_working(world, clock, offset)
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
            for offset in ("-1d", "+2d", "+0"):
                await _set_while_working(world, clock, offset)
            verdict = await world.verdict()
        finally:
            publisher.kill()
            publisher.communicate()
    book.ran("publisher's clock set back and forward", verdict, runs=3, seed=seed)


async def _set_while_working(world: World, clock: Clock, offset: str) -> None:
    clock.set(offset)
    for _ in range(20):
        await world.changes(1)
        await asyncio.sleep(0.1)
    await world.settled()
