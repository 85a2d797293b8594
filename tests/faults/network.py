"""A proxy on each link of a system, and random schedules of network faults."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args
from urllib.parse import urlsplit

from tests.faults.system import System, open_system
from tests.support.proxy import FAULTS, Fault, Proxy, proxied
from tests.support.valkey import Valkey

Link: TypeAlias = Literal["publisher-Redis", "consumer-Redis", "publisher-source"]
LINKS: Final[tuple[Link, ...]] = get_args(Link)
FOREVER: Final[Fault] = "black hole for ever"
TRANSIENT: Final = [fault for fault in FAULTS if fault != FOREVER]
"""The faults after which nobody waits for a time-out."""
DUPLICATING: Final[tuple[Fault, Fault]] = (
    "duplicate the last request",
    "duplicate the last request, late",
)
"""The faults that send a request a second time, at once and late."""
Network: TypeAlias = dict[Link, Proxy]


class ScheduledFault(NamedTuple):
    """At second `at`, `link` has `fault` for `seconds`."""

    at: float
    link: Link
    fault: Fault
    seconds: float

    async def inject(self, network: Network) -> None:
        """Inject it; a later one on the same link ends it early."""
        await asyncio.sleep(self.at)
        network[self.link].suffer(self.fault)
        await asyncio.sleep(self.seconds)
        network[self.link].recover()


def random_schedule(rng: random.Random, faults: int = 12) -> list[ScheduledFault]:
    """Return a random schedule, the same one for the same seed."""
    return [
        ScheduledFault(
            round(rng.uniform(0, 4), 2),
            rng.choice(LINKS),
            rng.choice(TRANSIENT),
            round(rng.uniform(0.05, 0.8), 2),
        )
        for _ in range(faults)
    ]


@asynccontextmanager
async def open_network(
    folder: Path, server: Valkey, **options: Any
) -> AsyncIterator[tuple[System, Network]]:
    """Have a system of which every link leads through a proxy, with nothing started."""
    async with open_system(folder, server, **options) as system, AsyncExitStack() as stack:
        source_port = urlsplit(system.source.url).port
        ports: dict[Link, int] = dict.fromkeys(LINKS, server.port)
        ports["publisher-source"] = source_port or 0
        network = {
            link: await stack.enter_async_context(proxied(port)) for link, port in ports.items()
        }
        redis = "redis://127.0.0.1:{}/0"
        system.publisher_redis = redis.format(network["publisher-Redis"].port)
        system.consumer_redis = redis.format(network["consumer-Redis"].port)
        system.source_url = f"http://127.0.0.1:{network['publisher-source'].port}/"
        yield system, network
