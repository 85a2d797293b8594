"""A client of whom the Sentinels call primary, whoever that is at the moment.

redis-py asks them for each new connection, and takes a READONLY for the end of the old one, so a
failover needs nothing from us but another try.
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
"""For a Sentinel, which answers at once or is away; the next one is asked then."""


def client(address: Address, options: dict[str, Any]) -> redis.asyncio.Redis:
    """Return a client of the primary; `options` are of each connection to it."""
    kind = SentinelManagedSSLConnection if address.has_tls else SentinelManagedConnection
    own = {"connection_class": connections.cancellable_connection(kind)}
    all_options = address.options | connections.RESP2 | options | own
    return redis.asyncio.Redis.from_pool(
        _Pool(address.master, _Sentinels(address), **all_options)  # type: ignore[no-untyped-call]
    )


class _Sentinels(Sentinel):
    def __init__(self, address: Address) -> None:
        self._places = ", ".join(f"{host}:{port}" for host, port in address.hosts)
        super().__init__([])  # type: ignore[no-untyped-call]
        patience = {
            "socket_timeout": ANSWER_SECONDS,
            "socket_connect_timeout": ANSWER_SECONDS,
            "retry": Retry(NoBackoff(), 0),
        }
        self.sentinels = [
            connections.client({**address.sentinel_options, **patience, "host": host, "port": port})
            for host, port in address.hosts
        ]

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return host and port of the primary, and ask first from now on who knew it.

        redis-py's own tells Sentinels that are away like a name that none of them knows.
        """
        refusals: list[redis.exceptions.RedisError] = []
        for sentinel in tuple(self.sentinels):
            try:
                masters: Any = await sentinel.sentinel_masters()
            except redis.exceptions.RedisError as error:
                refusals.append(error)
                continue
            state = masters.get(service_name)
            if state and self.check_master_state(state, service_name):
                self.sentinels.remove(sentinel)
                self.sentinels.insert(0, sentinel)
                return state["ip"], state["port"]
        if len(refusals) == len(self.sentinels):
            raise self._explained(refusals)
        raise MasterNotFoundError(
            f"none of its Sentinels knows a primary {service_name!r} that is up"
        )

    def _explained(
        self, refusals: list[redis.exceptions.RedisError]
    ) -> redis.exceptions.RedisError:
        """Return one of `refusals`, if possible one that waiting does not mend, and whose it is."""
        worst = min(refusals, key=lambda error: advice_for(error).is_transient)
        worst.args = (f"none of its Sentinels ({self._places}) tells where it is: {worst}",)
        return worst


class _Pool(SentinelConnectionPool):
    """Belongs to one client, and closes the connections to the Sentinels with its own."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()
