"""Time as the contract writes it (contract, 2): RFC 3339, UTC, milliseconds, `Z`."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the time of this machine, aware, in UTC."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Return e.g. `2026-11-23T09:40:03.569Z` for an aware `moment`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
