"""A client of whom the Sentinels call primary, whoever that is at the moment.

redis-py asks them for each new connection, and takes a READONLY for the end of the old one, so a
failover needs nothing from us but another try.
"""

from typing import Any, Final

import redis.asyncio
from redis.asyncio.connection import SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff

from plumbing import cancellable
from plumbing.redis_address import Address

ANSWER_SECONDS: Final = 2.0
"""For a Sentinel, which answers at once or is away; the next one is asked then."""


def client(address: Address, options: dict[str, Any]) -> redis.asyncio.Redis:
    """Return a client of the primary; `options` are of each connection to it."""
    has_tls = address.options.get("connection_class") is SSLConnection
    kind = SentinelManagedSSLConnection if has_tls else SentinelManagedConnection
    own = {"connection_class": cancellable.cancellable(kind)}
    all_options = address.options | cancellable.RESP2 | options | own
    return redis.asyncio.Redis.from_pool(
        _Pool(address.master, _Sentinels(address), **all_options)  # type: ignore[no-untyped-call]
    )


class _Sentinels(Sentinel):
    def __init__(self, address: Address) -> None:
        super().__init__([])  # type: ignore[no-untyped-call]
        patience = {
            "socket_timeout": ANSWER_SECONDS,
            "socket_connect_timeout": ANSWER_SECONDS,
            "retry": Retry(NoBackoff(), 0),
        }
        self.sentinels = [
            cancellable.client({**address.sentinel_options, **patience, "host": host, "port": port})
            for host, port in address.hosts
        ]


class _Pool(SentinelConnectionPool):
    """Belongs to one client, and closes the connections to the Sentinels with its own."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()
