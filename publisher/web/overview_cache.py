"""Reads catalogs for HTTP requests, within a time limit and not too often.

Ten thousand catalogs take seconds of this process' time. So requests that arrive during a read
share its result, and a result stays valid for a time in proportion to the time that it took.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final, NamedTuple

from plumbing.errors import RedisError
from plumbing.redis.replies import chunks
from publisher.polling.daemon import Daemon
from publisher.sources.single_flight import SingleFlight
from publisher.status.overview import (
    CATALOGS_PER_PIPELINE,
    CatalogOverview,
    read_catalog_names,
    read_overviews,
)

ANSWER_SECONDS: Final = 2.0
"""How long Redis may take to answer one pipeline; after that it counts as unreachable. A whole read
may take longer than Prometheus waits (10 s): then the next scrape gets its result."""
VALID_FACTOR: Final = 9
"""A result is valid for this many times the time it took: reading takes a tenth of all time."""


class OverviewResult(NamedTuple):
    """The overviews of catalogs, or why they cannot be read."""

    catalogs: list[CatalogOverview]
    """Empty if there is an `error`."""
    error: str = ""


class OverviewCache:
    """The overviews of those known catalogs that `choose` picks."""

    def __init__(self, daemon: Daemon, choose: Callable[[Iterable[str]], Iterable[str]]) -> None:
        self._daemon = daemon
        self._choose = choose
        self._flight = SingleFlight[OverviewResult]()
        self._result = OverviewResult([])
        self._valid_until = 0.0

    async def get(self) -> OverviewResult:
        """Return the last result while it is valid, else a new one; never cache errors."""
        if monotonic() < self._valid_until:
            return self._result
        return await self._flight.share("read", self._read)

    async def _read(self) -> OverviewResult:
        started = monotonic()
        catalogs: list[CatalogOverview] = []
        try:
            names = sorted(self._choose(await read_known_names(self._daemon)))
            for chunk in chunks(names, CATALOGS_PER_PIPELINE):
                async with _time_limit(self._daemon):
                    catalogs += await read_overviews(self._daemon.client, chunk)
        except RedisError as error:
            return OverviewResult([], str(error))
        self._result = OverviewResult(catalogs)
        self._valid_until = monotonic() + VALID_FACTOR * (monotonic() - started)
        return self._result


async def read_known_names(daemon: Daemon) -> list[str]:
    """Return the names of all catalogs that were ever polled.

    Raises RedisError if Redis does not answer within ANSWER_SECONDS.
    """
    async with _time_limit(daemon):
        return await read_catalog_names(daemon.client)


@asynccontextmanager
async def _time_limit(daemon: Daemon) -> AsyncIterator[None]:
    try:
        with daemon.server.explain_errors():
            async with asyncio.timeout(ANSWER_SECONDS):
                yield
    except TimeoutError:
        raise RedisError(
            f"Redis at {daemon.server.address}: no answer within {ANSWER_SECONDS:g} s (is it busy "
            "or stopped?)"
        ) from None
