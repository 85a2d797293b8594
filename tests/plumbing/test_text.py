"""Names from outside on a terminal."""

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
def test_harmless(name: str, shown: str) -> None:
    """Nothing steers the terminal, and blanks at an end are seen."""
    assert escape_control_chars(name) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0 s"), (0, "0 s"), (99, "99 s"), (100, "1 min"), (6000, "1 h"), (172_800, "2 d")],
)
def test_ago(seconds: int, shown: str) -> None:
    """A span is told in one unit."""
    assert format_duration(timedelta(seconds=seconds)) == shown
