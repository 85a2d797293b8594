"""The server dies, stops, is emptied, set back or full: nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from tests.faults import servers
from tests.faults.conftest import StartServer
from tests.faults.processes import Process
from tests.faults.results_table import ResultsRecorder
from tests.faults.servers import Clock
from tests.faults.system import LEASE_SECONDS, System, open_system
from tests.support import full_disk
from tests.support.processes import PUBLISHER, start
from tests.support.redis_servers import Sentinels, execute_on, is_answered_again, times_answered
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually

ROUNDS = 4
WAITING = "no valid state, waiting"
"""What a consumer logs when there is no valid state to resync to."""
RESYNCED = "resynced"
"""What a consumer logs after each reset."""
MAX_EVENTS = 10
"""Length of a stream that is trimmed beyond the checkpoints of consumers."""


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
async def test_killed(
    policy: str, start_server: StartServer, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """Kill -9 at any moment, and a start with what was written."""
    server = start_server("--appendfsync", policy)
    async with open_system(folder, server, seed=seed) as system:
        system.start(publishers=2)
        await system.settle()
        for _ in range(ROUNDS):
            await system.change()
            server.kill()
            server.start()
            await system.settle()
        verdict = await system.verdict()
    results.record(f"kill -9 of the server, appendfsync {policy}", verdict, runs=ROUNDS, seed=seed)


@pytest.mark.parametrize(
    ("policy", "unsure", "rounds"),
    [("always", 0, ROUNDS), ("everysec", 1, 3 * ROUNDS), ("no", 2, 2 * ROUNDS)],
)
async def test_power_cut(
    policy: str,
    unsure: int,
    rounds: int,
    start_server: StartServer,
    folder: Path,
    results: ResultsRecorder,
    seed: int,
) -> None:
    """The end of the append-only file is lost: bytes of the last `unsure` rounds.

    With `always` nothing is cut: the server and the disk promise that acknowledged writes are on the
    disk, which is not tested here. So everything must be there again.

    On Redis 7 some events of a lost commit come back at a later start, without its state. The copies
    stay right because no consumer applies an event that does not connect.
    """
    server, lost = start_server("--appendfsync", policy), 0
    sizes: list[int] = []
    async with open_system(folder, server, seed=seed, categories=400) as system:
        system.start(publishers=2)
        await system.settle()
        for _ in range(rounds):
            sizes.append(servers.aof_size(server))
            await system.change()
            since = sizes[-unsure:][0] if unsure else None
            system.checker.allow_break(
                "the power failed", by_hand=servers.replays_half_transactions(server)
            )
            lost += await servers.cut_power(system, since)
            await system.settle()
        verdict = await system.verdict()
    gone = "the last writes are gone" if unsure else "nothing is cut off"
    fault = f"power cut, appendfsync {policy}: {gone}"
    results.record(fault, verdict, runs=rounds, seed=seed, server_lost=lost)
    assert (lost > 0) == (unsure > 0)


async def test_restarted(server: Valkey, folder: Path, results: ResultsRecorder, seed: int) -> None:
    """After SHUTDOWN or SIGTERM and a start with the same data nothing has changed."""
    async with open_system(folder, server, seed=seed) as system:
        system.start(publishers=2)
        await system.settle()
        for number in range(ROUNDS):
            await system.change()
            down = servers.shut_down if number % 2 else servers.terminate
            if await servers.restart(system, down=down):
                system.checker.report("lost", "the server has lost a commit")
            await system.settle()
        verdict = await system.verdict()
    results.record("restart: SHUTDOWN or SIGTERM, same data", verdict, runs=ROUNDS, seed=seed)


async def test_wiped(server: Valkey, folder: Path, results: ResultsRecorder, seed: int) -> None:
    """After FLUSHALL or a start without data no copy is emptied.

    At first the publishers are paused until all consumers have seen it, later they are not.
    """
    async with open_system(folder, server, seed=seed) as system:
        system.start(publishers=2)
        await system.settle()
        lost = 0
        for number in range(ROUNDS):
            system.checker.allow_break("wiped")
            before = servers.epoch(server)
            async with _unrepaired(system) if number < ROUNDS // 2 else nullcontext():
                if number % 2:
                    execute_on(server, "FLUSHALL")
                else:
                    server.kill()
                    for file in (server.folder / "appendonlydir").iterdir():
                        file.unlink()
                    server.start()
                lost += servers.epoch(server) != before
            await system.change()
            await system.settle()
        verdict = await system.verdict()
    fault = "wiped: FLUSHALL, or started without its data"
    results.record(fault, verdict, runs=ROUNDS, seed=seed, server_lost=lost)
    assert lost == ROUNDS


@asynccontextmanager
async def _unrepaired(system: System) -> AsyncIterator[None]:
    """Pause all publishers until all consumers wait, or the checker has a finding."""
    before = _count_logged(system, WAITING)

    async def is_seen() -> bool:
        return await _all_log(system, WAITING, before) or bool(system.checker.findings)

    await _pause(system.publishers)
    yield
    await eventually(is_seen)
    for publisher in system.publishers:
        publisher.resume()


async def test_old_backup(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """The server is set back by some commits, and another history continues.

    The tree is so large that the changes since the oldest backup do not cause a hold.
    """
    async with open_system(folder, server, seed=seed, categories=400) as system:
        system.start(publishers=2)
        await system.settle()
        backups = []
        for number in range(ROUNDS):
            backups.append(servers.back_up_files(server, f"backup-{number}"))
            await system.change()
            await system.settle()
        lost = 0
        for backup in reversed(backups):
            system.checker.allow_break("restored from an old backup")
            lost += await servers.restore_files(system, backup)
            await system.change(1)
            await system.settle()
        verdict = await system.verdict()
    fault = "restored from an old backup"
    results.record(fault, verdict, runs=ROUNDS, seed=seed, server_lost=lost)
    assert lost == ROUNDS


async def test_lagging_replica(
    binary: str, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """The primary dies; a replica without the last commits becomes primary."""
    sentinels = Sentinels(folder, count=1, binary=binary)
    sentinels.start()
    try:
        async with open_system(folder, sentinels.primary, seed=seed) as system:
            system.publisher_redis = system.consumer_redis = sentinels.url
            system.start(publishers=2)
            await system.settle()
            await system.client.wait(1, round(1000 * PATIENCE))
            sentinels.replica.pause()
            execute_on(sentinels.primary, "CLIENT", "KILL", "TYPE", "replica")
            await system.change(5)
            await system.settle()
            system.checker.allow_break("the replica lags")
            before = servers.position(sentinels.primary)
            sentinels.primary.kill()
            sentinels.replica.resume()
            has_lost = servers.position(sentinels.replica) != before
            await system.move_checker_to(sentinels.replica)
            system.source.change(system.rng)
            await system.settle()
            verdict = await system.verdict()
    finally:
        sentinels.kill()
    results.record("promotion of a replica that lags", verdict, seed=seed, server_lost=has_lost)
    assert has_lost


async def test_full_memory(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """Wherever the memory limit is met (noeviction), a commit is complete or rejected."""
    async with open_system(folder, server, seed=seed) as system:
        system.start(publishers=2)
        await system.settle()
        for number in range(2 * ROUNDS):
            used = execute_on(server, "INFO", "memory")["used_memory"]
            limit = used + system.rng.randint(-100_000, 100_000 * (number % 2))
            execute_on(server, "CONFIG", "SET", "maxmemory", limit)
            await system.change()
            execute_on(server, "CONFIG", "SET", "maxmemory", 0)
            await system.settle()
        verdict = await system.verdict()
        assert times_answered({"OOM"}, server) >= ROUNDS
    results.record("full memory, noeviction", verdict, runs=2 * ROUNDS, seed=seed)


async def test_evicted(server: Valkey, folder: Path, results: ResultsRecorder, seed: int) -> None:
    """Evicted keys (allkeys-random) are repaired, and no copy shows less meanwhile."""
    async with open_system(folder, server, seed=seed) as system:
        system.start(publishers=2)
        await system.settle()
        execute_on(server, "CONFIG", "SET", "maxmemory-policy", "allkeys-random")
        lost = 0
        for _ in range(2 * ROUNDS):
            system.checker.allow_break("keys are evicted", by_hand=True)
            evicted = servers.evicted_keys(server)
            used = execute_on(server, "INFO", "memory")["used_memory"]
            execute_on(server, "CONFIG", "SET", "maxmemory", used - 1)
            await system.change(1)
            execute_on(server, "CONFIG", "SET", "maxmemory", 0)
            lost += servers.evicted_keys(server) > evicted
            await system.change(1)
            await system.settle()
        verdict = await system.verdict()
    fault = "full memory, keys evicted"
    results.record(fault, verdict, runs=2 * ROUNDS, seed=seed, server_lost=lost)
    assert lost > 0


async def test_full_disk(binary: str, folder: Path, results: ResultsRecorder, seed: int) -> None:
    """Writes fail while the disk is full; then there is room, or a kill."""
    (home := folder / "redis").mkdir()
    with Valkey(home, binary=full_disk.deaf(folder, binary)) as server:
        async with open_system(folder, server, seed=seed) as system:
            system.start(publishers=2)
            await system.settle()
            lost = 0
            for number in range(ROUNDS):
                earlier = times_answered({"MISCONF"}, server)
                full_disk.fill(server)
                await system.change()
                is_refused = partial(is_answered_again, earlier, {"MISCONF"}, server)
                await eventually(is_refused)
                if number % 2:
                    system.checker.allow_break("what was only in memory is lost")
                    lost += await servers.restart(system)
                else:
                    full_disk.make_room(server)
                await system.settle()
            verdict = await system.verdict()
    fault = "full disk, then room again, or kill -9"
    results.record(fault, verdict, runs=ROUNDS, seed=seed, server_lost=lost)


async def test_stopped_server(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """The server is stopped (SIGSTOP) for longer than the leases."""
    async with open_system(folder, server, seed=seed) as system:
        system.start(publishers=2)
        await system.settle()
        for _ in range(2):
            await system.change()
            server.pause()
            await system.change()
            await asyncio.sleep(1.5 * LEASE_SECONDS)
            server.resume()
            await system.settle()
        verdict = await system.verdict()
    results.record("server stopped for longer than the leases", verdict, runs=2, seed=seed)


async def test_stopped_publisher(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """Each publisher is stopped for longer than its lease, waiting for an answer.

    The other one continues. What the first one has received by then is not committed any more.
    """
    async with open_system(folder, server, seed=seed) as system:
        system.start(publishers=2)
        await system.settle()
        for number in range(ROUNDS):
            stopped = system.publishers[number % 2]
            await system.change(1)
            stopped.pause()
            await system.change()
            await system.settle()
            position = system.checker.position
            stopped.resume()
            await asyncio.sleep(LEASE_SECONDS / 2)
            await system.settle()
            if system.checker.position != position:
                system.checker.report("duplicate", "an outdated snapshot was committed")
        verdict = await system.verdict()
    fault = "publisher stopped for longer than its lease"
    results.record(fault, verdict, runs=ROUNDS, seed=seed)


async def test_stopped_consumers(
    server: Valkey, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """Consumers stopped while their events are trimmed all resync."""
    async with open_system(folder, server, seed=seed, keep_events=MAX_EVENTS) as system:
        system.catalog_settings = f"retention = {{ max_events = {MAX_EVENTS} }}\n"
        system.start()
        await system.settle()
        for _ in range(ROUNDS):
            await _pause(system.consumers.values())
            before = _count_logged(system, RESYNCED)
            await _commit_beyond_stream(system)
            assert execute_on(server, "XLEN", "catalog:{us}:events") == MAX_EVENTS
            for consumer in system.consumers.values():
                consumer.resume()
            await system.settle()
            await eventually(partial(_all_log, system, RESYNCED, before))
        verdict = await system.verdict()
    results.record("consumers stopped while the stream is trimmed", verdict, runs=ROUNDS, seed=seed)


async def _commit_beyond_stream(system: System) -> None:
    """Commit more than the stream keeps; stopped consumers may have the first commit."""
    await _commit_next(system)
    first = servers.sequence(system.server)
    while servers.sequence(system.server) <= first + MAX_EVENTS:
        await _commit_next(system)


async def _commit_next(system: System) -> None:
    """Change the source's tree, and wait until it is the state."""

    async def is_state() -> bool:
        return system.checker.tree == system.source.tree

    await system.change(1)
    await eventually(is_state)


async def _pause(processes: Collection[Process]) -> None:
    """Pause processes, and wait until all are stopped."""

    async def stand() -> bool:
        return all(each.is_stopped for each in processes)

    for process in processes:
        process.pause()
    await eventually(stand)


def _count_logged(system: System, what: str) -> dict[str, int]:
    """Return how often each consumer has logged `what`."""
    return {name: each.err.count(what) for name, each in system.consumers.items()}


async def _all_log(system: System, what: str, before: dict[str, int]) -> bool:
    """Return whether each consumer has logged `what` more often than `before`."""
    return all(times > before[name] for name, times in _count_logged(system, what).items())


@pytest.fixture
def clock(folder: Path) -> Clock:
    """Return a clock to set."""
    if not servers.FAKETIME.exists():
        pytest.skip("libfaketime is not installed: install the system package faketime")
    return Clock(folder)


async def test_servers_clock(
    binary: str, clock: Clock, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """The server's clock is set a day back, 60 days forward (retention: 30), right."""
    (home := folder / "redis").mkdir()
    with Valkey(home, binary=clock.wrap(folder, binary)) as server:
        async with open_system(folder, server, seed=seed) as system:
            system.start(publishers=2)
            await system.settle()
            for days in (-1, 60, 0):
                await _set_clock_while_working(system, clock, days)
                assert clock.shows(execute_on(server, "TIME")[0])
            verdict = await system.verdict()
    results.record("server's clock set back and forward", verdict, runs=3, seed=seed)


async def test_publishers_clock(
    server: Valkey, clock: Clock, folder: Path, results: ResultsRecorder, seed: int
) -> None:
    """A publisher's clock is set a day back, two days forward, right, as it polls."""
    async with open_system(folder, server, seed=seed) as system:
        publisher = start(PUBLISHER, "run", cwd=system.write_config(), **clock.variables)
        try:
            system.start(publishers=0)
            await system.settle()
            for days in (-1, 2, 0):
                await _set_clock_while_working(system, clock, days)
                committed_at = execute_on(
                    server, "HGET", "catalog:{us}:meta", "committed_at"
                ).decode()
                assert clock.shows(datetime.fromisoformat(committed_at).timestamp())
            verdict = await system.verdict()
        finally:
            publisher.kill()
            publisher.communicate()
    results.record("publisher's clock set back and forward", verdict, runs=3, seed=seed)


async def _set_clock_while_working(system: System, clock: Clock, days: int) -> None:
    clock.set(days)
    for _ in range(20):
        await system.change(1)
        await asyncio.sleep(0.1)
    await system.settle()
