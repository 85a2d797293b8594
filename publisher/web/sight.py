"""Looks at Redis for whoever asks over HTTP: within a time, and not as often as one may ask.

Ten thousand catalogs take seconds of this process' time. So who asks while somebody else does
shares the answer, and an answer is good for a while that grows with what it took.
"""

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Final, NamedTuple

from plumbing.errors import RedisError
from publisher.daemon import Daemon
from publisher.overview import all_catalogs, overviews
from publisher.sources.flights import Flights

ANSWER_SECONDS: Final = 2.0
"""For one short answer; after that Redis counts as away."""
READ_SECONDS: Final = 7.0
"""For all of a look. With the above less than the 10 s after which Prometheus gives up."""
GOOD_FOR: Final = 9
"""Times what a look took, it is good: looking takes a tenth of the time at most."""


class Seen(NamedTuple):
    """What stands in Redis of catalogs, or why that cannot be said."""

    catalogs: list[dict[str, Any]]
    """As `overview.overviews` gives them; none with an `error`."""
    error: str = ""


class Sight:
    """What stands in Redis of those catalogs that `choose` picks from all that were ever polled."""

    def __init__(self, daemon: Daemon, choose: Callable[[Iterable[str]], Iterable[str]]) -> None:
        self._daemon = daemon
        self._choose = choose
        self._flights = Flights[Seen]()
        self._seen = Seen([])
        self._good_until = 0.0

    async def look(self) -> Seen:
        """Return what was seen just now, or a moment ago."""
        if monotonic() < self._good_until:
            return self._seen
        return await self._flights.share("look", self._look)

    async def _look(self) -> Seen:
        begin = monotonic()
        try:
            known = await reached(self._daemon)
            self._seen = Seen(await self._read(sorted(self._choose(known))))
        except RedisError as error:
            return Seen([], str(error))
        self._good_until = monotonic() + GOOD_FOR * (monotonic() - begin)
        return self._seen

    async def _read(self, names: list[str]) -> list[dict[str, Any]]:
        daemon = self._daemon
        try:
            with daemon.server.errors_explained():
                async with asyncio.timeout(READ_SECONDS):
                    return await overviews(daemon.client, names)
        except TimeoutError:
            raise _too_slow(daemon, READ_SECONDS) from None


async def reached(daemon: Daemon) -> list[str]:
    """Return the names of all catalogs that were ever polled; RedisError if that takes long."""
    try:
        with daemon.server.errors_explained():
            async with asyncio.timeout(ANSWER_SECONDS):
                return await all_catalogs(daemon.client)
    except TimeoutError:
        raise _too_slow(daemon, ANSWER_SECONDS) from None


def _too_slow(daemon: Daemon, seconds: float) -> RedisError:
    address = daemon.server.address
    return RedisError(
        f"Redis at {address}: no answer within {seconds:g} s (is it busy or stopped?)"
    )
