"""When a catalog is polled: pure.

Each catalog has moments of its own, one an interval, told from its name alone. So the polls of many
catalogs are spread over the interval, and all publishers agree on them without asking one another.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from zlib import crc32

SHORTEST: Final = 0.1
"""Share of the interval that lies between two polls at least: the first poll is at no moment of its
catalog's, and a timer can be a little early."""
OVERDUE: Final = timedelta(minutes=2)
"""A poll takes less, retries included; one that is due for longer has nobody who does it."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def next_due(name: str, every: timedelta, begun: datetime) -> datetime:
    """Return when catalog `name` is due after a poll that began at `begun`.

    That is the last of its moments within `every`; so, but for the first time, `every` later.
    """
    offset = every * (crc32(name.encode()) / 2**32)
    due = begun + every - (begun - EPOCH - offset) % every
    return due if due - begun >= every * SHORTEST else due + every


def first_due(every: timedelta, status: Mapping[str, str], now: datetime) -> datetime:
    """Return when a catalog with this `status` (contract, 2) is due for who begins to poll it.

    At once if it was never polled, or failed: whoever starts after that has mended something.
    """
    try:
        polled, due = (datetime.fromisoformat(status[at]) for at in ("polled_at", "next_poll_at"))
        due = min(due, polled + every, now + every)
    except (KeyError, ValueError, TypeError):
        return now
    return now if status.get("outcome") == "failed" else max(now, due)
