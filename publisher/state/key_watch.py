"""The server's word that nobody has touched a catalog's keys: Redis' WATCH.

A connection that watches keys is kept between two polls. Its next transaction goes through only if
nobody wrote to them, deleted, evicted or flushed them, and the server is the same process. So what
was read behind WATCH is what stands there now, without reading it again.
"""

import asyncio
from typing import Final, Self

import redis.asyncio
import redis.exceptions
from redis.asyncio.client import Pipeline

from plumbing.redis.server import Client

ANSWER_SECONDS: Final = 5.0
"""Reading the keys again is what else can be done, so nobody waits for long."""
NO_WORD: Final = (redis.exceptions.RedisError, OSError, TimeoutError)
"""Touched, or nobody knows: WATCH may be forbidden, the connection lost."""


class KeyWatch:
    """Watches some keys since `begin`, on a connection of its own, for one question."""

    def __init__(self, pipeline: Pipeline, key: str) -> None:
        self._pipeline = pipeline
        self._key = key

    @classmethod
    async def start(cls, client: Client, *keys: str) -> Self | None:
        """KeyWatch `keys` from now on; None where that cannot be, as on a Cluster."""
        if not isinstance(client, redis.asyncio.Redis):
            return None
        begun = cls(client.pipeline(transaction=True), keys[0])
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await begun._pipeline.watch(*keys)
        except NO_WORD:
            await begun.close()
            return None
        except BaseException:
            await begun.close()
            raise
        return begun

    async def finish_unchanged(self) -> bool:
        """End it, and return whether nobody has touched the keys since `begin`."""
        connection = self._pipeline.connection
        if connection is None or not connection.is_connected:  # it would be made anew, unwatching
            return False
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                self._pipeline.multi()  # type: ignore[no-untyped-call]
                self._pipeline.exists(self._key)
                await self._pipeline.execute()
        except NO_WORD:
            return False
        else:
            return True
        finally:
            await self.close()

    async def close(self) -> None:
        """Give the connection back."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._pipeline.reset()  # type: ignore[no-untyped-call]
        except NO_WORD:
            pass  # a connection that is lost watches nothing
