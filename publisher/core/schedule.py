"""Decides when a catalog is polled.

Each catalog is due once an interval, at an offset that is computed from its name. This spreads the
polls of many catalogs over the interval, and all publishers agree on it without asking each other.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from zlib import crc32

SHORTEST: Final = 0.1
"""The least share of the interval between two polls: the first poll is not at a due time, and a
timer can be a little early."""
OVERDUE: Final = timedelta(minutes=2)
"""A poll takes less, retries included; a catalog that is due for longer is polled by nobody."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def next_due(name: str, every: timedelta, started_at: datetime) -> datetime:
    """Return when catalog `name` is due again after a poll that began at `started_at`.

    That is the catalog's next due time, or the one after if the next is too soon (SHORTEST).
    """
    offset = every * (crc32(name.encode()) / 2**32)
    due = started_at + every - (started_at - EPOCH - offset) % every
    return due if due - started_at >= every * SHORTEST else due + every


def first_due(every: timedelta, status: Mapping[str, str], now: datetime) -> datetime:
    """Return when a publisher that takes a catalog over polls it first.

    `status` is that of the last poll (contract, 2). The catalog is due at once if it was never
    polled, or if its last poll failed, since the cause may be gone.
    """
    try:
        polled, due = (datetime.fromisoformat(status[at]) for at in ("polled_at", "next_poll_at"))
        due = min(due, polled + every, now + every)
    except (KeyError, ValueError, TypeError):
        return now
    return now if status.get("outcome") == "failed" else max(now, due)
