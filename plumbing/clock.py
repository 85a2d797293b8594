"""Times as in the contract, 2: RFC 3339, UTC, milliseconds, `Z`."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return this machine's time, with the time zone UTC."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Return e.g. `2026-11-23T09:40:03.569Z` for a `moment` that has a time zone."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
