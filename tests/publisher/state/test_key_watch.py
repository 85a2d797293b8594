"""A watch says that keys are unchanged only if that is certain (contract, 5.3)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import redis.asyncio

from plumbing.redis.server import COMMAND_TIMEOUT, Server
from publisher.state import key_watch
from publisher.state.key_watch import KeyWatch
from tests.support.cancelling import cancelled_at_each_await
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually

KEYS = ("catalog:{us}:categories", "catalog:{us}:meta")


async def start(client: redis.asyncio.Redis) -> KeyWatch:
    """Return a watch of both keys."""
    watch = await KeyWatch.start(client, *KEYS)
    assert watch is not None
    return watch


@pytest.mark.contract("5.3")
async def test_keys_that_nobody_touched_are_unchanged(client: redis.asyncio.Redis) -> None:
    """Reading them is not a change, nor is writing another key."""
    watch = await start(client)
    await client.hgetall(KEYS[0])
    await client.set("other", "1")
    assert await watch.finish_unchanged()


@pytest.mark.contract("5.3")
@pytest.mark.parametrize("key", KEYS)
async def test_a_key_that_was_touched_is_not_unchanged(
    client: redis.asyncio.Redis, key: str
) -> None:
    """Either of them, and only for the watch that was running."""
    watch = await start(client)
    await client.hset(key, "1", "x")
    assert not await watch.finish_unchanged()
    assert await (await start(client)).finish_unchanged()


async def test_a_watch_that_was_closed_knows_nothing(client: redis.asyncio.Redis) -> None:
    """Its connection watches no longer."""
    watch = await start(client)
    await watch.close()
    assert not await watch.finish_unchanged()


async def test_a_lost_connection_knows_nothing(real_client: redis.asyncio.Redis) -> None:
    """redis-py would connect again, and that connection would watch nothing."""
    watch = await start(real_client)
    await real_client.client_kill_filter(_type="normal", skipme=True)
    assert not await watch.finish_unchanged()


async def test_a_connection_that_was_closed_knows_nothing(client: redis.asyncio.Redis) -> None:
    """The client closed it, as it does with all of a pool; it goes back to the pool."""
    watch = await start(client)
    await client.connection_pool.disconnect()
    assert not await watch.finish_unchanged()
    await check_next_watches(client)


@pytest.mark.parametrize("connection", ["open", "closed"])
async def test_a_finished_watch_needs_no_unwatch(
    real_client: redis.asyncio.Redis, connection: str
) -> None:
    """EXEC has ended it, or the end of the connection, which is not opened again."""
    await real_client.config_resetstat()
    watch = await start(real_client)
    if connection == "closed":
        await real_client.connection_pool.disconnect()
    assert await watch.finish_unchanged() == (connection == "open")
    stats: dict[str, object] = await real_client.info("commandstats")
    assert ("cmdstat_watch" in stats, "cmdstat_unwatch" in stats) == (True, False)


async def test_a_cluster_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """redis-py watches nothing there; so it is not tried."""
    cluster = Server("redis-cluster://127.0.0.1:1").client()

    def fail(**_options: object) -> None:
        raise AssertionError

    monkeypatch.setattr(cluster, "pipeline", fail)
    assert await KeyWatch.start(cluster, *KEYS) is None
    await cluster.aclose()


async def no_connection_in_use(client: redis.asyncio.Redis) -> bool:
    """Return whether all connections of `client` are back in its pool."""
    return not client.connection_pool._in_use_connections


async def check_next_watches(client: redis.asyncio.Redis) -> None:
    """Check that a cancelled watch left no connection, no reply and no trust."""
    await eventually(lambda: no_connection_in_use(client))
    assert await (await start(client)).finish_unchanged()
    watch = await start(client)
    await client.hset(KEYS[1], "1", "x")
    assert not await watch.finish_unchanged()
    assert await no_connection_in_use(client)
    await client.flushall()


@pytest.mark.contract("5.3")
@pytest.mark.parametrize("connections", ["connected", "new"])
async def test_a_start_that_is_cancelled_leaves_nothing(
    client: redis.asyncio.Redis, connections: str
) -> None:
    """The cancellation comes at each await, also while it connects."""

    async def start_and_close() -> None:
        if connections == "new":
            await client.connection_pool.disconnect()
        await (await start(client)).close()

    async for _ in cancelled_at_each_await(start_and_close):
        await check_next_watches(client)


@pytest.mark.contract("5.3")
async def test_an_end_that_is_cancelled_leaves_nothing(client: redis.asyncio.Redis) -> None:
    """The cancellation comes at each await; afterwards the watch knows nothing."""
    watch: KeyWatch | None = None

    async def finish() -> bool:
        assert watch is not None
        return await watch.finish_unchanged()

    watch = await start(client)
    async for _ in cancelled_at_each_await(finish):
        assert not await watch.finish_unchanged()
        await check_next_watches(client)
        watch = await start(client)


async def test_a_close_that_is_cancelled_leaves_nothing(client: redis.asyncio.Redis) -> None:
    """The cancellation comes at each await; the connection returns to its pool."""
    watch: KeyWatch | None = None

    async def close() -> None:
        assert watch is not None
        await watch.close()

    watch = await start(client)
    async for _ in cancelled_at_each_await(close):
        assert not await watch.finish_unchanged()
        await check_next_watches(client)
        watch = await start(client)


@pytest.fixture
async def patient_client(valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    """Give a client of an empty real Valkey whose commands may take hours."""
    async with valkey.client(timeout=10_000) as made:
        await made.flushall()
        yield made


Step = Callable[[redis.asyncio.Redis, KeyWatch], Awaitable[object]]


@pytest.mark.parametrize(
    "step",
    [
        lambda client, _watch: KeyWatch.start(client, *KEYS),
        lambda _client, watch: watch.finish_unchanged(),
        lambda _client, watch: watch.close(),
    ],
    ids=["start", "finish", "close"],
)
async def test_a_server_that_hangs_delays_no_poll(
    valkey: Valkey, patient_client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    """After a short time nothing is known, and the connection is given up."""
    assert key_watch.ANSWER_SECONDS <= COMMAND_TIMEOUT / 6
    watch = await start(patient_client)
    monkeypatch.setattr(key_watch, "ANSWER_SECONDS", 0.05)
    valkey.pause()
    try:
        async with asyncio.timeout(PATIENCE):
            assert not await step(patient_client, watch)
    finally:
        valkey.resume()
    monkeypatch.undo()
    await watch.close()
    await check_next_watches(patient_client)


async def test_a_server_that_hangs_delays_no_cancellation(
    valkey: Valkey, patient_client: redis.asyncio.Redis
) -> None:
    """A publisher that is stopped meanwhile ends soon."""
    watch = await start(patient_client)
    valkey.pause()
    try:
        asking = asyncio.create_task(watch.finish_unchanged())
        await asyncio.wait([asking], timeout=0.02)
        asking.cancel()
        await asyncio.wait([asking], timeout=PATIENCE)
    finally:
        valkey.resume()
    assert asking.cancelled()
    await check_next_watches(patient_client)
