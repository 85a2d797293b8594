"""The links of a world, each with a bad network on it, and schedules of what they suffer."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args
from urllib.parse import urlsplit

from tests.faults.world import World, opened
from tests.support.proxy import FAULTS, Fault, Proxy, proxied
from tests.support.valkey import Valkey

Link: TypeAlias = Literal["publisher-Redis", "consumer-Redis", "publisher-source"]
LINKS: Final[tuple[Link, ...]] = get_args(Link)
FOREVER: Final[Fault] = "black hole for ever"
PASSING: Final = [fault for fault in FAULTS if fault != FOREVER]
"""Those after which nobody waits for a time-out."""
TWICE: Final[tuple[Fault, Fault]] = (
    "duplicate the last request",
    "duplicate the last request, late",
)
"""Those with which a request comes once more, at once and late."""
Network: TypeAlias = dict[Link, Proxy]


class Step(NamedTuple):
    """At second `at`, `link` suffers `fault` for `seconds`."""

    at: float
    link: Link
    fault: Fault
    seconds: float

    async def take(self, network: Network) -> None:
        """Let it happen; a later step on the same link ends it early."""
        await asyncio.sleep(self.at)
        network[self.link].suffer(self.fault)
        await asyncio.sleep(self.seconds)
        network[self.link].recover()


def drawn(chance: random.Random, steps: int = 12) -> list[Step]:
    """Return a random schedule, the same one for the same seed."""
    return [
        Step(
            round(chance.uniform(0, 4), 2),
            chance.choice(LINKS),
            chance.choice(PASSING),
            round(chance.uniform(0.05, 0.8), 2),
        )
        for _ in range(steps)
    ]


@asynccontextmanager
async def networked(
    folder: Path, server: Valkey, **options: Any
) -> AsyncIterator[tuple[World, Network]]:
    """Have a world of which every link leads through a proxy, with nothing started."""
    async with opened(folder, server, **options) as world, AsyncExitStack() as stack:
        source_port = urlsplit(world.upstream.url).port
        ports: dict[Link, int] = dict.fromkeys(LINKS, server.port)
        ports["publisher-source"] = source_port or 0
        network = {
            link: await stack.enter_async_context(proxied(port)) for link, port in ports.items()
        }
        redis = "redis://127.0.0.1:{}/0"
        world.publisher_redis = redis.format(network["publisher-Redis"].port)
        world.consumer_redis = redis.format(network["consumer-Redis"].port)
        world.source_url = f"http://127.0.0.1:{network['publisher-source'].port}/"
        yield world, network
