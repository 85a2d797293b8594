"""redis-py connections whose tasks can be cancelled, on Python 3.11 too, and clients of them.

redis-py sends with `asyncio.wait_for`, which in Python 3.11 loses a cancellation that arrives just
as the sending is done (python/cpython#86296, mended in 3.12). Sending nearly always is done at
once, so a Ctrl-C was lost every other time, and the command went on.

Besides, a connection to a server that says READONLY is closed: the name of the server may by now
lead to the new primary (failover by DNS), and only who connects asks for it.
"""

import asyncio
from typing import Any, Final

import redis.asyncio
import redis.exceptions
from redis.asyncio.connection import AbstractConnection, Connection, ConnectionPool

from plumbing.redis.chunked_command import ChunkedSending

RESP2: Final = {"protocol": 2, "driver_info": None}
"""No push message is wanted, and no command is sent that was not asked for."""


def client(options: dict[str, Any], *, single: bool = False) -> redis.asyncio.Redis:
    """Return a client of one server; `options` are a connection's, and where it leads.

    With `single` it keeps to one connection.
    """
    kind = options.get("connection_class", Connection)
    pool = ConnectionPool(**RESP2 | options | {"connection_class": cancellable_connection(kind)})
    made = redis.asyncio.Redis(connection_pool=pool, single_connection_client=single)
    made.auto_close_connection_pool = True
    return made


def cancellable_connection(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """Return `kind` of connection, mended, and one that sends large commands in pieces."""
    return type(f"Cancellable{kind.__name__}", (_Cancellable, ChunkedSending, kind), {})


class _Cancellable(AbstractConnection):
    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's signature
        """Send as redis-py does, but with a time-out that lets a cancellation through."""
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
            self._should_reconnect = True  # once all replies of a pipeline are read
            raise
