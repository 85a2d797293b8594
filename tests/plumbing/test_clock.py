"""Times are written in one form."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from plumbing import clock


@pytest.mark.contract("2")
@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 23, 9, 40, 3, 569_999, tzinfo=UTC), "2026-11-23T09:40:03.569Z"),
        (datetime(2026, 11, 23, 9, 40, tzinfo=UTC), "2026-11-23T09:40:00.000Z"),
        (
            datetime(2026, 11, 23, 1, tzinfo=timezone(timedelta(hours=2))),
            "2026-11-22T23:00:00.000Z",
        ),
    ],
)
def test_writes_rfc_3339_in_utc_with_milliseconds(moment: datetime, text: str) -> None:
    """Microseconds are cut off, so that a time is never in the future."""
    assert clock.rfc3339(moment) == text


def test_now_has_the_zone_utc() -> None:
    """A time without a zone would be read as local time."""
    assert clock.now().tzinfo is UTC
