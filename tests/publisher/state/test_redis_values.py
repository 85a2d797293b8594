"""Text that is stored in Redis, by our code or by others."""

import pytest

from publisher.state.redis_values import parse_number, parse_offset, parse_time


def test_values_of_the_publisher_are_parsed() -> None:
    """Each form of the contract, 2."""
    assert parse_number("105") == 105
    assert parse_offset("1764000000000-3") == (1764000000000, 3)
    time = parse_time("2026-11-23T09:40:03.569Z")
    assert time is not None
    assert time.isoformat() == "2026-11-23T09:40:03.569000+00:00"


@pytest.mark.parametrize("text", [None, "", "x", "-1", "1.5", "\u0661", "9" * 21])
def test_an_invalid_number(text: str | None) -> None:
    """A text that is no number is no offset and no time, either."""
    assert parse_number(text) is None
    assert parse_offset(text) is None
    assert parse_time(text) is None


@pytest.mark.parametrize("text", ["1-", "1-1 COUNT", "1-1-1", "\u0661-\u0661", f"{'9' * 21}-1"])
def test_an_invalid_offset(text: str) -> None:
    """An invalid offset is never sent to the server."""
    assert parse_offset(text) is None


def test_a_time_needs_a_zone() -> None:
    """A time without a zone cannot be compared."""
    assert parse_time("2026-11-23T09:40:03") is None
