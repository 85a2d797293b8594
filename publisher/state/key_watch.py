"""Learns from Redis' WATCH whether anybody has touched a catalog's keys.

Between two polls a connection stays open that watches the keys. Its next transaction succeeds only
if nobody has written, deleted, evicted or flushed them, and the server process is the same. So what
was read after WATCH is still there, and does not have to be read again.
"""

import asyncio
from contextlib import suppress
from typing import Final, Self

import redis.asyncio
import redis.exceptions
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import Connection

from plumbing.redis.server import Client

ANSWER_SECONDS: Final = 5.0
"""A short limit, since the keys can be read again instead."""
UNCERTAIN: Final = (redis.exceptions.RedisError, OSError, TimeoutError)
"""The keys were touched, or nobody knows: WATCH may be forbidden, or the connection lost."""


class KeyWatch:
    """Watches some keys on a connection of its own, until one question is answered."""

    def __init__(self, pipeline: Pipeline, key: str) -> None:
        self._pipeline = pipeline
        self._key = key

    @classmethod
    async def start(cls, client: Client, *keys: str) -> Self | None:
        """Watch `keys` from now on; return None if that is not possible, as in a Cluster."""
        if not isinstance(client, redis.asyncio.Redis):
            return None
        watch = cls(client.pipeline(transaction=True), keys[0])
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await watch._pipeline.watch(*keys)
        except BaseException as error:
            await watch.close()
            if isinstance(error, UNCERTAIN):
                return None
            raise
        return watch

    async def finish_unchanged(self) -> bool:
        """Stop watching; return whether the keys are certainly as at the start."""
        connection = self._pipeline.connection
        try:
            if connection is None or not connection.is_connected:
                return False  # redis-py would connect again, and that connection watches nothing
            with suppress(*UNCERTAIN):
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await self._execute_transaction(connection)
            return False
        finally:
            await self.close()

    async def close(self) -> None:
        """Return the connection to its pool."""
        connection = self._pipeline.connection
        if connection is not None and not connection.is_connected:
            self._pipeline.watching = False  # else redis-py connects again, to send UNWATCH
        with suppress(*UNCERTAIN):  # a lost connection watches nothing
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._pipeline.reset()  # type: ignore[no-untyped-call]

    async def _execute_transaction(self, connection: Connection) -> bool:
        """Return whether the server executes a transaction; raise what it refuses.

        Not with `Pipeline.execute`: cut short by a time limit or a cancellation, that connects
        again and waits for the reply to UNWATCH, for as long as any command may take.
        """
        commands = [("MULTI",), ("EXISTS", self._key), ("EXEC",)]
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            replies = [await connection.read_response() for _ in commands]
        except BaseException:
            await connection.disconnect(nowait=True)  # there may be more replies to read
            raise
        self._pipeline.watching = False  # EXEC ends it
        return replies[-1] is not None
