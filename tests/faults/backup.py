"""All keys of a server, kept aside and put back: the same beginning for many runs."""

from typing import Any, TypeAlias

import redis.asyncio

Backup: TypeAlias = dict[bytes, bytes]
"""Every key as DUMP gives it."""


async def taken(client: redis.asyncio.Redis) -> Backup:
    """Return all keys as they are."""
    keys: Any = await client.keys("*")
    dumped = {key: await client.dump(key) for key in keys}
    return {key: value for key, value in dumped.items() if value is not None}


async def put_back(client: redis.asyncio.Redis, backup: Backup) -> None:
    """Have these keys and no others, and no script."""
    await client.script_flush()
    async with client.pipeline(transaction=True) as pipe:
        pipe.flushall()
        for key, value in backup.items():
            pipe.restore(key, 0, value)
        await pipe.execute()
