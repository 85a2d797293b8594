"""Times and events as people write them on the command line."""

import pytest

from consumers.contract.history_point import EventRef, HistoryPoint, parse
from plumbing.errors import ConfigError
from tests.support.messages import whole


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("2026-11-23", "2026-11-23T00:00:00.000Z"),
        ("2026-11-23T09:40", "2026-11-23T09:40:00.000Z"),
        ("2026-11-23 09:40:03", "2026-11-23T09:40:03.000Z"),
        ("2026-11-23T09:40:03.569Z", "2026-11-23T09:40:03.569Z"),
        ("2026-11-23t09:40:03.569123z", "2026-11-23T09:40:03.569Z"),
        ("2026-11-23T00:40:03+01:00", "2026-11-22T23:40:03.000Z"),
        ("105", EventRef(None, 105)),
        ("0", EventRef(None, 0)),
        ("2026", EventRef(None, 2026)),
        ("00000000000000000105", EventRef(None, 105)),
        ("9f3c1a2b-105", EventRef("9f3c1a2b", 105)),
        ("20261123-105", EventRef("20261123", 105)),
        ("9f3c1a2b-105-0f1e2d3c4b5a6978", EventRef("9f3c1a2b", 105, "0f1e2d3c4b5a6978")),
    ],
)
def test_a_point(text: str, point: HistoryPoint) -> None:
    """A time becomes RFC 3339 in UTC with milliseconds, an event has a sequence."""
    assert parse(text) == point


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "yesterday", "-1", "1.5", "٣", "2026-13-01", "2026-11-23T25:00"),
        *("9F3C1A2B-105", "9f3c1a2b-", "105-0f1e2d3c4b5a6978", "9f3c1a2b-105-0f1e", "1" * 19),
        *("2026-W47", "20261123T0940", "2026-11-23T", "2026-11-23x09:40"),
        *("0001-01-01T00:00+05:00", "9f3c1a2b-105\n", "2026-11-23\n", "\x1b[31m"),
    ],
)
def test_no_point(text: str) -> None:
    """Any other text is an error with valid examples."""
    with pytest.raises(
        ConfigError,
        match=whole(
            f"{text!r} is not a point in history: use a time such as 2026-11-23 or "
            "2026-11-23T09:40:03Z, a sequence such as 105, or an event's id such as 9f3c1a2b-105"
        ),
    ) as refused:
        parse(text)
    assert "\x1b" not in str(refused.value)


def test_events_as_text() -> None:
    """An event is written as it is parsed."""
    assert [str(parse(text)) for text in ("105", "9f3c1a2b-105")] == ["105", "9f3c1a2b-105"]
