"""Clients of one server, with connections that fix two faults of redis-py.

redis-py sends with `asyncio.wait_for`. In Python 3.11 that loses a cancellation that arrives just
as the sending is done (python/cpython#86296, fixed in 3.12). Sending is nearly always done at once,
so every other Ctrl-C was lost, and the command continued.

A connection to a server that answers READONLY is closed: after a failover by DNS the server's name
may lead to the new primary, but only a new connection resolves it.
"""

import asyncio
from typing import Any, Final

import redis.asyncio
import redis.exceptions
from redis.asyncio.connection import AbstractConnection, Connection, ConnectionPool

from plumbing.redis.chunked_command import ChunkedSending

RESP2: Final = {"protocol": 2, "driver_info": None}
"""Without push messages, and without the commands that redis-py sends first on a connection."""


def client(options: dict[str, Any], *, single: bool = False) -> redis.asyncio.Redis:
    """Return a client of one server; `options` are those of its connections.

    With `single` it uses one connection only.
    """
    kind = cancellable_connection(options.get("connection_class", Connection))
    pool = ConnectionPool(**RESP2 | options | {"connection_class": kind})
    one_server = redis.asyncio.Redis(connection_pool=pool, single_connection_client=single)
    one_server.auto_close_connection_pool = True
    return one_server


def cancellable_connection(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """Return a `kind` of connection with these fixes.

    It sends large commands in chunks.
    """
    return type(f"Cancellable{kind.__name__}", (_Cancellable, ChunkedSending, kind), {})


class _Cancellable(AbstractConnection):
    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's signature
        """Send as redis-py does, but with a time-out that does not lose a cancellation."""
        limit, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(limit):
                await super().send_packed_command(command, check_health)
        except TimeoutError:
            await self.disconnect(nowait=True)
            raise redis.exceptions.TimeoutError("Timeout writing to socket") from None
        finally:
            self.socket_timeout = limit

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read as redis-py does; after READONLY the connection is not used again."""
        try:
            return await super().read_response(*args, **options)
        except redis.exceptions.ReadOnlyError:
            self._should_reconnect = True  # redis-py closes it once a pipeline's replies are read
            raise
