"""Looks at Redis for whoever asks over HTTP: within a time, and not as often as one may ask.

Ten thousand catalogs take seconds of this process' time. So who asks while somebody else does
shares the answer, and an answer is good for a while that grows with what it took.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Final, NamedTuple

from plumbing.errors import RedisError
from publisher.polling.daemon import Daemon
from publisher.sources.single_flight import SingleFlight
from publisher.state.redis_values import chunks
from publisher.status.overview import AT_ONCE, read_catalog_names, read_overviews

ANSWER_SECONDS: Final = 2.0
"""For an answer, or those about some hundred catalogs; after that Redis counts as away. All of a
look may take longer than Prometheus waits (10 s): then the next scrape finds its answer."""
GOOD_FOR: Final = 9
"""Times what a look took, it is good: looking takes a tenth of the time at most."""


class OverviewResult(NamedTuple):
    """What stands in Redis of catalogs, or why that cannot be said."""

    catalogs: list[dict[str, Any]]
    """As `overview.read_overviews` gives them; none with an `error`."""
    error: str = ""


class OverviewCache:
    """What stands in Redis of those catalogs that `choose` picks from all that were ever polled."""

    def __init__(self, daemon: Daemon, choose: Callable[[Iterable[str]], Iterable[str]]) -> None:
        self._daemon = daemon
        self._choose = choose
        self._flights = SingleFlight[OverviewResult]()
        self._seen = OverviewResult([])
        self._good_until = 0.0

    async def look(self) -> OverviewResult:
        """Return what was seen just now, or a moment ago."""
        if monotonic() < self._good_until:
            return self._seen
        return await self._flights.share("look", self._look)

    async def _look(self) -> OverviewResult:
        begin = monotonic()
        try:
            known = await reached(self._daemon)
            self._seen = OverviewResult(await self._read(sorted(self._choose(known))))
        except RedisError as error:
            return OverviewResult([], str(error))
        self._good_until = monotonic() + GOOD_FOR * (monotonic() - begin)
        return self._seen

    async def _read(self, names: list[str]) -> list[dict[str, Any]]:
        found = []
        for chunk in chunks(names, AT_ONCE):
            async with _in_time(self._daemon):
                found += await read_overviews(self._daemon.client, chunk)
        return found


async def reached(daemon: Daemon) -> list[str]:
    """Return the names of all catalogs that were ever polled; RedisError if that takes long."""
    async with _in_time(daemon):
        return await read_catalog_names(daemon.client)


@asynccontextmanager
async def _in_time(daemon: Daemon) -> AsyncIterator[None]:
    try:
        with daemon.server.errors_explained():
            async with asyncio.timeout(ANSWER_SECONDS):
                yield
    except TimeoutError:
        raise RedisError(
            f"Redis at {daemon.server.address}: no answer within {ANSWER_SECONDS:g} s (is it busy "
            "or stopped?)"
        ) from None
