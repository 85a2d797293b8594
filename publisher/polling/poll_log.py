"""Logs changes in the polls' results and outages of Redis, each once."""

import re
from collections.abc import Collection
from typing import Any, Final

from plumbing import logs
from plumbing.edge_log import EdgeLog
from plumbing.errors import RedisError
from publisher.polling.poll import PollResult

log: Any = logs.logger(__name__)

LEASES: Final = ""
"""The user of Redis that the leases' errors belong to; they concern no single catalog."""
WITH_DIGITS: Final = re.compile(r"(?<!\S)(?=\S*\d)\S{8,}")
"""Long words with digits: a request's id, a number of bytes. An HTTP status or a code is short."""


class PollLog:
    """Logs what is new about one catalog's polls, and nothing twice."""

    def __init__(self, catalog: str) -> None:
        self._log: Any = log.bind(catalog=catalog)
        self._failure = EdgeLog(self._log)
        self._hold = EdgeLog(self._log)
        self._warnings: tuple[str, ...] = ()

    def poll_failed(self, error: str) -> None:
        """Log that a poll failed, unless the last one failed with the same error.

        Errors are the same if they differ only in a request's id, a number or a time.
        """
        cause = WITH_DIGITS.sub("", error)
        self._failure.down("poll failed", cause=cause, level="error", error=error)

    def poll_succeeded(self, result: PollResult) -> None:
        """Log what is new about a poll that did not fail."""
        self._failure.up("poll recovered")
        if result.is_repaired:
            self._log.warning("state was damaged, new epoch started")
        new = [warning for warning in result.warnings if warning not in self._warnings]
        self._warnings = result.warnings
        if new:
            self._log.warning("snapshot has warnings", warnings=new)
        if result.hold:
            self._hold.down(
                "snapshot is held",
                cause=result.hold.digest,
                digest=result.hold.digest,
                reasons=list(result.hold.reasons),
                state="damaged, consumers wait" if result.is_damaged else "valid",
            )
        else:
            self._hold.up("hold ended")
        if result.outcome == "changed" and result.position:
            self._log.info(
                "published",
                **result.counts._asdict(),
                epoch=result.position.epoch,
                sequence=result.position.sequence,
            )
        else:
            self._log.debug("polled", outcome=result.outcome)


class OutageLog:
    """Logs an outage of Redis once for all its users: the catalogs, and the leases.

    It starts when a first user fails, and ends when no user fails any more. Errors with the same
    advice are one outage, since a lost connection shows in many messages.
    """

    def __init__(self) -> None:
        self._advice: dict[str, str] = {}
        """The advice of the last error of each failing user."""

    def failed(self, user: str, error: RedisError) -> None:
        """Note that Redis failed `user`, a catalog's name or LEASES."""
        if error.advice not in self._advice.values():
            # an error, since nothing is published meanwhile; a consumer only warns (`OutageRetry`)
            log.error("redis unavailable, retrying", error=str(error))
        self._advice[user] = error.advice

    def recovered(self, user: str) -> None:
        """Note that Redis serves `user`."""
        self.keep_only(self._advice.keys() - {user})

    def keep_only(self, users: Collection[str]) -> None:
        """Forget all but `users`: the others do not use Redis here any more."""
        was_failing = bool(self._advice)
        self._advice = {user: self._advice[user] for user in self._advice if user in users}
        if was_failing and not self._advice:
            log.info("redis available again")
