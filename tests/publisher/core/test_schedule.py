"""When a catalog is polled."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from publisher.core.schedule import first_due, next_due

NOW = datetime(2026, 11, 23, 9, 40, tzinfo=UTC)
HOUR = timedelta(hours=1)

names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
spans = st.timedeltas(timedelta(milliseconds=100), timedelta(days=30))


@given(names, spans, moments)
def test_the_first_interval_is_shorter_the_next_is_whole(
    name: str, every: timedelta, begun: datetime
) -> None:
    """From the first poll on a catalog has its own moments, an interval apart."""
    due = next_due(name, every, begun)
    assert every * 0.1 <= due - begun <= every * 1.1
    again = next_due(name, every, due)
    assert abs(again - due - every) < timedelta(milliseconds=1)


@given(names, spans, moments)
def test_a_timer_that_is_early_is_no_second_poll(
    name: str, every: timedelta, begun: datetime
) -> None:
    """A hair before or after its moment, a catalog is due an interval later."""
    due = next_due(name, every, begun)
    for hair in (timedelta(milliseconds=-5), timedelta(milliseconds=5)):
        assert abs(next_due(name, every, due + hair) - due - every) < timedelta(milliseconds=11)


def test_polls_are_spread() -> None:
    """A thousand catalogs that all begin at once: soon about as many in each minute."""
    due = [next_due(f"catalog-{number}", HOUR, NOW) for number in range(1000)]
    minutes = [(moment - NOW) // timedelta(minutes=6) for moment in due]
    assert all(60 < minutes.count(each) < 140 for each in range(1, 10))


def test_who_takes_over_polls_when_it_is_due() -> None:
    """Not at once: that would be a call too many."""
    status = {"polled_at": "2026-11-23T09:30:00.000Z", "next_poll_at": "2026-11-23T10:30:00.000Z"}
    assert first_due(HOUR, status, NOW) == NOW + timedelta(minutes=50)
    assert first_due(timedelta(minutes=20), status, NOW) == NOW + timedelta(minutes=10)
    assert first_due(timedelta(minutes=5), status, NOW) == NOW


def test_who_was_never_polled_or_failed_is_due_at_once() -> None:
    """And so is one whose status cannot be read."""
    later = {"polled_at": "2026-11-23T09:30:00.000Z", "next_poll_at": "2026-11-23T10:30:00.000Z"}
    assert first_due(HOUR, {}, NOW) == NOW
    assert first_due(HOUR, later | {"outcome": "failed"}, NOW) == NOW
    assert first_due(HOUR, later | {"polled_at": "yesterday"}, NOW) == NOW
    assert first_due(HOUR, later | {"polled_at": "2026-11-23T09:30:00"}, NOW) == NOW


def test_a_clock_that_was_ahead_delays_by_an_interval_at_most() -> None:
    """A status from the future is no reason to wait for the future."""
    ahead = {"polled_at": "2027-11-23T09:30:00.000Z", "next_poll_at": "2027-11-23T10:30:00.000Z"}
    assert first_due(HOUR, ahead, NOW) == NOW + HOUR
