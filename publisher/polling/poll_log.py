"""What the log says of a catalog's polls: on the edge, not on the level."""

import re
from typing import Any, Final

from plumbing import logs
from publisher.polling.poll import Polled

log = logs.logger(__name__)

WITH_DIGITS: Final = re.compile(r"(?<!\S)(?=\S*\d)\S{8,}")
"""Long words with digits: a request's id, a count of bytes; an HTTP status or a code is short."""


class Teller:
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

    def polled(self, polled: Polled) -> None:
        """Tell what is new about a poll that came through."""
        if self._error is not None:
            self._log.info("polls succeed again")
        self._error = None
        self._tell_warnings(polled)
        self._tell_hold(polled)
        self._tell_changes(polled)

    def _tell_warnings(self, polled: Polled) -> None:
        if polled.repaired:
            self._log.warning("state was damaged, its history begins anew")
        for warning in polled.warnings:
            if warning not in self._warnings:
                self._log.warning("snapshot is odd", what=warning)
        self._warnings = polled.warnings

    def _tell_hold(self, polled: Polled) -> None:
        digest = polled.hold["digest"] if polled.hold else None
        if polled.hold and digest != self._held:
            self._log.warning(
                "snapshot is held",
                digest=digest,
                reasons=polled.hold["reasons"],
                state="damaged, consumers wait" if polled.damaged else "whole",
            )
        if self._held and polled.outcome != "held":
            self._log.info("hold has ended")
        self._held = digest

    def _tell_changes(self, polled: Polled) -> None:
        if polled.outcome == "changed" and polled.place:
            self._log.info(
                "published",
                **polled.counts._asdict(),
                epoch=polled.place.epoch,
                sequence=polled.place.sequence,
            )
        else:
            self._log.debug("polled", outcome=polled.outcome)
