"""redis-py clients whose tasks can be cancelled, on Python 3.11 too.

redis-py sends with `asyncio.wait_for`, which in Python 3.11 loses a cancellation that arrives just
as the sending is done (python/cpython#86296, mended in 3.12). Sending nearly always is done at
once, so a Ctrl-C was lost every other time, and the command went on.
"""

import asyncio
from typing import Any

import redis.asyncio
import redis.exceptions
from redis.asyncio.connection import AbstractConnection, ConnectionPool


def client(url: str, **options: Any) -> redis.asyncio.Redis:
    """Return a client of `url`, as `redis.asyncio.Redis.from_url` does with the same options.

    RESP2: no push message is wanted, and no command is sent that was not asked for.
    """
    single = options.pop("single_connection_client", False)
    pool = ConnectionPool.from_url(url, protocol=2, driver_info=None, **options)
    pool.connection_class = _cancellable(pool.connection_class)
    made = redis.asyncio.Redis(connection_pool=pool, single_connection_client=single)
    made.auto_close_connection_pool = True
    return made


def _cancellable(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    return type(f"Cancellable{kind.__name__}", (_Cancellable, kind), {})


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
