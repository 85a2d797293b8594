"""When a catalog is polled."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from publisher.core.schedule import first_due, next_due

NOW = datetime(2026, 11, 23, 9, 40, tzinfo=UTC)
HOUR = timedelta(hours=1)

names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
times = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
spans = st.timedeltas(timedelta(milliseconds=100), timedelta(days=30))


@given(names, spans, times)
def test_the_first_interval_varies_and_the_next_is_exact(
    name: str, every: timedelta, started_at: datetime
) -> None:
    """After its first poll a catalog is due at its own offset, once an interval."""
    due = next_due(name, every, started_at)
    assert every * 0.1 <= due - started_at <= every * 1.1
    again = next_due(name, every, due)
    assert abs(again - due - every) < timedelta(milliseconds=1)


@given(names, spans, times)
def test_an_early_timer_causes_no_second_poll(
    name: str, every: timedelta, started_at: datetime
) -> None:
    """A poll shortly before or after the due time counts for it."""
    due = next_due(name, every, started_at)
    for shift in (timedelta(milliseconds=-5), timedelta(milliseconds=5)):
        assert abs(next_due(name, every, due + shift) - due - every) < timedelta(milliseconds=11)


def test_polls_are_spread() -> None:
    """A thousand catalogs that start together are soon polled evenly."""
    due = [next_due(f"catalog-{number}", HOUR, NOW) for number in range(1000)]
    minutes = [(moment - NOW) // timedelta(minutes=6) for moment in due]
    assert all(60 < minutes.count(each) < 140 for each in range(1, 10))


def test_a_catalog_that_is_taken_over_keeps_its_due_time() -> None:
    """A poll at once would be one too many."""
    status = {"polled_at": "2026-11-23T09:30:00.000Z", "next_poll_at": "2026-11-23T10:30:00.000Z"}
    assert first_due(HOUR, status, NOW) == NOW + timedelta(minutes=50)
    assert first_due(timedelta(minutes=20), status, NOW) == NOW + timedelta(minutes=10)
    assert first_due(timedelta(minutes=5), status, NOW) == NOW


def test_a_catalog_without_a_good_poll_is_due_at_once() -> None:
    """It was never polled, its last poll failed, or its status cannot be read."""
    later = {"polled_at": "2026-11-23T09:30:00.000Z", "next_poll_at": "2026-11-23T10:30:00.000Z"}
    assert first_due(HOUR, {}, NOW) == NOW
    assert first_due(HOUR, later | {"outcome": "failed"}, NOW) == NOW
    assert first_due(HOUR, later | {"polled_at": "yesterday"}, NOW) == NOW
    assert first_due(HOUR, later | {"polled_at": "2026-11-23T09:30:00"}, NOW) == NOW


def test_a_clock_that_was_ahead_delays_by_an_interval_at_most() -> None:
    """A status from the future delays a poll by one interval only."""
    ahead = {"polled_at": "2027-11-23T09:30:00.000Z", "next_poll_at": "2027-11-23T10:30:00.000Z"}
    assert first_due(HOUR, ahead, NOW) == NOW + HOUR
