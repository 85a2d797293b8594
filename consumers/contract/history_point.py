"""When in a catalog's history: a time, or a place, as a command line names them. Pure."""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

from plumbing.clock import rfc3339
from plumbing.errors import ConfigError

SEQUENCE: Final = re.compile(r"0*[0-9]{1,18}")
"""As people or as events write it (contract, 3); databases have no integers of 20 digits."""
EVENT_ID: Final = re.compile(rf"([0-9a-f]{{8}})-({SEQUENCE.pattern})(?:-([0-9a-f]{{16}}))?")
TIME: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ].+)?", re.ASCII)
"""The form of RFC 3339; what Python reads beyond it has too many meanings."""


class EventRef(NamedTuple):
    """The event of `sequence`, in `epoch`; None is whichever epoch there is.

    `digest` is there if a whole event id was given: a failover may bring back the rest of it.
    """

    epoch: str | None
    sequence: int
    digest: str | None = None

    def __str__(self) -> str:
        return "-".join(str(part) for part in self if part is not None)


HistoryPoint: TypeAlias = str | EventRef
"""A time as events have it (RFC 3339, UTC, milliseconds: such texts sort), or a place."""


def parse(text: str) -> HistoryPoint:
    """Return the moment that `text` names; ConfigError if it names none.

    A date is its beginning; what has no offset is UTC; digits alone are a sequence.
    """
    if SEQUENCE.fullmatch(text):
        return EventRef(None, int(text))
    if match := EVENT_ID.fullmatch(text):
        return EventRef(match[1], int(match[2]), match[3])
    try:
        return _time(text)
    except (ValueError, OverflowError):
        raise ConfigError(
            f"{text!r} is no moment: take a time such as 2026-11-23 or 2026-11-23T09:40:03Z, "
            "a sequence such as 105, or an event's id such as 9f3c1a2b-105"
        ) from None


def _time(text: str) -> str:
    if not TIME.fullmatch(text):
        raise ValueError
    time = datetime.fromisoformat(text.upper())
    return rfc3339(time if time.tzinfo else time.replace(tzinfo=UTC))
