"""Texts, signs and levels that the terminal and the page have in common."""

from datetime import UTC, datetime
from typing import Any

import pytest

from publisher.core.model import Counts
from publisher.status.overview import Lag
from publisher.status.phrases import (
    as_dict,
    as_list,
    format_age,
    format_counts,
    format_lags,
    format_signed_counts,
    outcome_level,
)
from tests.publisher.status.overviews import overview

NOW = datetime(2026, 11, 23, 9, 40, tzinfo=UTC)


def test_counts() -> None:
    assert format_counts(Counts(3, 1, 0)) == "3 added, 1 updated, 0 removed"
    assert format_signed_counts({"added": "3", "removed": "2"}) == "+3 ~0 -2"


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("2026-11-23T09:39:55.000Z", "5 s ago"),
        ("2026-11-23T10:00:00.000Z", "0 s ago"),
        ("2026-11-23T09:39:55", "2026-11-23T09:39:55"),
        ("long ago", "long ago"),
        ("", "-"),
        (None, "-"),
    ],
)
def test_an_age(text: str | None, age: str) -> None:
    """What is no time with a zone is shown as it is."""
    assert format_age(text, NOW) == age


def test_lags() -> None:
    """A line for each consumer, by name."""
    lags = {"c": Lag(None, 9.0), "a": Lag(0, 0.0), "b": Lag(3, 4.4)}
    assert list(format_lags(overview(lags=lags))) == [
        "a: in sync",
        "b: 3 events (4 s) behind",
        "c: in another epoch, or unreadable",
    ]


def test_an_outcome_that_is_not_known_is_neutral() -> None:
    """Somebody may write anything into the status."""
    levels = [outcome_level(each) for each in ("changed", "held", "failed", "never polled", "\x1b")]
    assert levels == ["good", "held", "bad", "neutral", "neutral"]


@pytest.mark.parametrize("value", [None, 1, "x", b"x"])
def test_a_value_of_another_type_is_empty(value: Any) -> None:
    assert as_list(value) == []
    assert as_dict(value) == {}
    assert as_list([value]) == [value]
    assert as_dict({"x": value}) == {"x": value}
