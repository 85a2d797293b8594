"""A watch says that keys are unchanged only if that is certain (contract, 5.3)."""

import pytest
import redis.asyncio

from publisher.state.key_watch import KeyWatch

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
