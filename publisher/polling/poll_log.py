"""What the log says of a catalog's polls: on the edge, not on the level."""

import re
from collections.abc import Collection
from typing import Any, Final

from plumbing import logs
from plumbing.errors import RedisError
from publisher.polling.poll import PollResult

log: Any = logs.logger(__name__)

LEASES: Final = ""
"""Whom the leases' errors belong to, which are of no one catalog."""
WITH_DIGITS: Final = re.compile(r"(?<!\S)(?=\S*\d)\S{8,}")
"""Long words with digits: a request's id, a count of bytes; an HTTP status or a code is short."""


class PollLog:
    """Logs one catalog's polls on the edge: what is as it was is not told again."""

    def __init__(self, catalog: str) -> None:
        self._log: Any = log.bind(catalog=catalog)
        self._error: str | None = None
        self._held: str | None = None
        self._warnings: tuple[str, ...] = ()

    def failed(self, error: str) -> None:
        """Tell that a poll failed, unless the last one failed of the same.

        A request's id, a count or a clock may differ: the same is what has the same words.
        """
        same = WITH_DIGITS.sub("", error)
        if same != self._error:
            self._log.error("poll failed", error=error)
        self._error = same

    def polled(self, polled: PollResult) -> None:
        """Tell what is new about a poll that came through."""
        if self._error is not None:
            self._log.info("polls succeed again")
        self._error = None
        self._tell_warnings(polled)
        self._tell_hold(polled)
        self._tell_changes(polled)

    def _tell_warnings(self, polled: PollResult) -> None:
        if polled.repaired:
            self._log.warning("state was damaged, its history begins anew")
        for warning in polled.warnings:
            if warning not in self._warnings:
                self._log.warning("snapshot is odd", what=warning)
        self._warnings = polled.warnings

    def _tell_hold(self, polled: PollResult) -> None:
        digest = polled.hold.digest if polled.hold else None
        if polled.hold and digest != self._held:
            self._log.warning(
                "snapshot is held",
                digest=digest,
                reasons=list(polled.hold.reasons),
                state="damaged, consumers wait" if polled.damaged else "whole",
            )
        if self._held and polled.outcome != "held":
            self._log.info("hold has ended")
        self._held = digest

    def _tell_changes(self, polled: PollResult) -> None:
        if polled.outcome == "changed" and polled.position:
            self._log.info(
                "published",
                **polled.counts._asdict(),
                epoch=polled.position.epoch,
                sequence=polled.position.sequence,
            )
        else:
            self._log.debug("polled", outcome=polled.outcome)


class OutageLog:
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
