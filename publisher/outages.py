"""What the log says while Redis fails the publisher: once for all catalogs, not once for each."""

from collections.abc import Collection
from typing import Any, Final

from plumbing import logs
from plumbing.errors import RedisError

log: Any = logs.logger(__name__)

LEASES: Final = ""
"""Whom the leases' errors belong to, which are of no one catalog."""


class Outages:
    """Logs an outage when the first of those who use Redis meets it, and when none does any more.

    Errors with the same advice are one outage: a lost connection has many words.
    """

    def __init__(self) -> None:
        self._met_by: dict[str, set[str]] = {}

    def failed(self, who: str, error: RedisError) -> None:
        """Take note that Redis failed `who`, a catalog or LEASES."""
        if error.advice not in self._met_by:
            log.error("redis fails, trying again", error=str(error))
        others = self._met_by.keys() - {error.advice}
        self._met_by.setdefault(error.advice, set()).add(who)
        for other in others:
            self._discard(other, {who})

    def passed(self, who: str) -> None:
        """Take note that Redis serves `who`."""
        self._end(self._all() & {who})

    def only(self, those: Collection[str]) -> None:
        """Forget all but `those`: others are not polled here any more."""
        self._end(self._all().difference(those))

    def _all(self) -> set[str]:
        return set().union(*self._met_by.values())

    def _end(self, whose: set[str]) -> None:
        if not whose:
            return
        for advice in list(self._met_by):
            self._discard(advice, whose)
        if not self._met_by:
            log.info("redis serves again")

    def _discard(self, advice: str, whose: set[str]) -> None:
        self._met_by[advice] -= whose
        if not self._met_by[advice]:
            del self._met_by[advice]
