"""Parses a point in a catalog's history: a time or an event. Pure."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

from plumbing.clock import rfc3339
from plumbing.errors import ConfigError

SEQUENCE: Final = re.compile(r"0*[0-9]{1,18}")
"""With or without leading zeros (contract, 3). Databases have no integers of 20 digits."""
EVENT_ID: Final = re.compile(rf"([0-9a-f]{{8}})-({SEQUENCE.pattern})(?:-([0-9a-f]{{16}}))?")
TIME: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ].+)?", re.ASCII)
"""The format of RFC 3339. Python parses more formats, but those are ambiguous."""


class EventRef(NamedTuple):
    """Names the event of `sequence` in `epoch`, or in any epoch if that is None.

    `digest` is set if a whole event id was given. After a failover that lost events, another event
    may have the same epoch and sequence, but not the same digest.
    """

    epoch: str | None
    sequence: int
    digest: str | None = None

    def __str__(self) -> str:
        return "-".join(str(part) for part in self if part is not None)


HistoryPoint: TypeAlias = str | EventRef
"""A time as in events (RFC 3339, UTC, milliseconds, so that it sorts as text), or an event."""


def parse(text: str) -> HistoryPoint:
    """Return the point in history that `text` names; else raise ConfigError.

    A date means its first moment, a time without an offset is UTC, digits alone are a sequence.
    """
    if SEQUENCE.fullmatch(text):
        return EventRef(None, int(text))
    if match := EVENT_ID.fullmatch(text):
        return EventRef(match[1], int(match[2]), match[3])
    if TIME.fullmatch(text):
        with suppress(ValueError, OverflowError):
            time = datetime.fromisoformat(text.upper())
            return rfc3339(time if time.tzinfo else time.replace(tzinfo=UTC))
    raise ConfigError(
        f"{text!r} is not a point in history: use a time such as 2026-11-23 or "
        "2026-11-23T09:40:03Z, a sequence such as 105, or an event's id such as 9f3c1a2b-105"
    )
