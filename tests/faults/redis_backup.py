"""Saves and restores all keys, so that many runs start from the same state."""

from typing import Any, TypeAlias

import redis.asyncio

Backup: TypeAlias = dict[bytes, bytes]
"""Every key with the value that DUMP returns."""


async def take(client: redis.asyncio.Redis) -> Backup:
    """Return all keys as they are now."""
    keys: Any = await client.keys("*")
    dumped = {key: await client.dump(key) for key in keys}
    return {key: value for key, value in dumped.items() if value is not None}


async def restore(client: redis.asyncio.Redis, backup: Backup) -> None:
    """Replace all keys by those of `backup`, and remove all scripts."""
    await client.script_flush()
    async with client.pipeline(transaction=True) as pipe:
        pipe.flushall()
        for key, value in backup.items():
            pipe.restore(key, 0, value)
        await pipe.execute()
