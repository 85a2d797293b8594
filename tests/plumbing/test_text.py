"""Names from outside are escaped for a terminal, and durations are short."""

from datetime import timedelta

import pytest

from plumbing.text import escape_control_chars, format_duration


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Käse & <b>[red]", "Käse & <b>[red]"),
        (" Home  Supplies ", r"\x20Home  Supplies\x20"),
        ("  ", r"\x20\x20"),
        ("", ""),
        ("a\nb\x1b[31m", r"a\nb\x1b[31m"),
        ("a\u00a0\u202eb", r"a\xa0\u202eb"),
    ],
)
def test_escapes_control_characters_and_outer_spaces(name: str, shown: str) -> None:
    """Nothing controls the terminal, and spaces at either end are visible."""
    assert escape_control_chars(name) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0 s"), (0, "0 s"), (99, "99 s"), (100, "1 min"), (6000, "1 h"), (172_800, "2 d")],
)
def test_formats_a_duration_in_one_unit(seconds: int, shown: str) -> None:
    """The unit is the largest that keeps some precision; a negative duration is 0."""
    assert format_duration(timedelta(seconds=seconds)) == shown
