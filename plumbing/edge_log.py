"""Logs an outage once when it starts and once when it ends."""

from typing import Any


class EdgeLog:
    """Logs the beginning and the end of an outage, not each failure in between.

    It is about one condition that is either up or down; up at first.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._cause: str | None = None

    @property
    def is_down(self) -> bool:
        """Whether `down` was called since the last `up`."""
        return self._cause is not None

    def down(self, message: str, *, cause: str = "", level: str = "warning", **facts: Any) -> None:
        """Log `message` with its `facts`, unless it is down for the same `cause` already."""
        if cause != self._cause:
            self._cause = cause
            getattr(self._log, level)(message, **facts)

    def up(self, message: str, **facts: Any) -> None:
        """Log `message` with its `facts` if it was down; the next `down` logs again."""
        if self._cause is not None:
            self._cause = None
            self._log.info(message, **facts)
