"""A client of the server that the Sentinels currently call the primary.

redis-py asks them for each new connection, and closes a connection that answers READONLY. So after
a failover it is enough to try a command again.
"""

from typing import Any, Final

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff

from plumbing.redis import connections
from plumbing.redis.error_advice import advice_for
from plumbing.redis_url import Address

ANSWER_SECONDS: Final = 2.0
"""How long one Sentinel may take; then the next one is asked."""


def client(address: Address, options: dict[str, Any]) -> redis.asyncio.Redis:
    """Return a client of the primary; `options` are those of each connection to it."""
    kind = SentinelManagedSSLConnection if address.has_tls else SentinelManagedConnection
    own = {"connection_class": connections.cancellable_connection(kind)}
    merged = address.options | connections.RESP2 | options | own
    pool = _Pool(address.master, _Sentinels(address), **merged)  # type: ignore[no-untyped-call]
    return redis.asyncio.Redis.from_pool(pool)


class _Sentinels(Sentinel):
    """The Sentinels of one primary, in the order in which they are asked."""

    def __init__(self, address: Address) -> None:
        self._locations = ", ".join(f"{host}:{port}" for host, port in address.hosts)
        super().__init__([])  # type: ignore[no-untyped-call]
        limits = {
            "socket_timeout": ANSWER_SECONDS,
            "socket_connect_timeout": ANSWER_SECONDS,
            "retry": Retry(NoBackoff(), 0),
        }
        self.sentinels = [
            connections.client({**address.sentinel_options, **limits, "host": host, "port": port})
            for host, port in address.hosts
        ]

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return host and port of the primary.

        The Sentinel that knew the primary is asked first next time. redis-py's own method does not
        distinguish unreachable Sentinels from an unknown name.
        """
        errors: list[redis.exceptions.RedisError] = []
        for sentinel in tuple(self.sentinels):
            try:
                masters: Any = await sentinel.sentinel_masters()
            except redis.exceptions.RedisError as error:
                errors.append(error)
                continue
            state = masters.get(service_name)
            if state and self.check_master_state(state, service_name):
                self.sentinels.remove(sentinel)
                self.sentinels.insert(0, sentinel)
                return state["ip"], state["port"]
        if len(errors) == len(self.sentinels):
            # if possible a permanent one: waiting does not help then
            worst = min(errors, key=lambda error: advice_for(error).is_transient)
            worst.args = (f"none of its Sentinels ({self._locations}) names the primary: {worst}",)
            raise worst
        raise MasterNotFoundError(
            f"none of its Sentinels knows a primary {service_name!r} that is up"
        )


class _Pool(SentinelConnectionPool):
    """The connections of one client; closes those to the Sentinels with its own."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()
