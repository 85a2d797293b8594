"""What the commands print in a terminal."""

import io
from typing import Any

from rich.console import Console, RenderableType

from publisher.core.model import Category, Change, Hold
from publisher.status.overview import Lag
from publisher.status.problems import CheckedCatalog, Problem
from publisher.status.terminal import COLUMNS, changes_table, status_table
from tests.publisher.status.overviews import overview

HOSTILE = "[red]\x1b[2J\u202e"
ESCAPED = "[red]\\x1b[2J\\u202e"


def printed(what: RenderableType) -> str:
    """Return what a wide console without colors prints."""
    out = io.StringIO()
    Console(file=out, width=250, highlight=False).print(what, soft_wrap=True)
    return out.getvalue()


def styles(what: RenderableType) -> list[tuple[str, str]]:
    """Return the parts that have a style, with it."""
    parts = Console(width=250, highlight=False).render(what)
    found = [(part.text.strip(), str(part.style or "none")) for part in parts]
    return [(text, style) for text, style in found if text and style != "none"]


def test_changes() -> None:
    """A line each with the old values, and how many more; names are escaped."""
    before, after = (
        Category("2", "1", HOSTILE, is_leaf=False),
        Category("2", "3", HOSTILE, is_leaf=True),
    )
    changes = [
        Change("added", Category("1", "0", "Home", is_leaf=False)),
        Change("updated", after, before),
        Change("removed", before),
    ]
    assert printed(changes_table(changes, 2)).splitlines() == [
        "+ 1          Home",
        f"~ 2          {ESCAPED}  parent_id was 1; is_leaf was false",
        "… and 1 more",
    ]
    assert styles(changes_table([*changes, Change("removed", before)], 3)) == [
        *(("+", "green"), ("1", "bold green"), ("Home", "green")),
        *(("~", "yellow"), ("2", "bold yellow"), (ESCAPED, "yellow")),
        ("parent_id was 1; is_leaf was false", "dim yellow"),
        *(("-", "red"), ("2", "bold red"), (ESCAPED, "red"), ("… and 1 more", "dim")),
    ]


def test_a_table_without_problems() -> None:
    """A line for each catalog, and the verdict."""
    us = overview(lags={"mirror": Lag(0, 0.0)}, lease="host:7:a:b")
    heading, line, verdict = printed(status_table([CheckedCatalog(us, [])])).splitlines()
    assert heading.split() == [
        *("catalog", "last", "poll", "categories", "sequence", "changes", "polled", "by"),
        "consumers",
    ]
    assert line.split() == [
        *("us", "0", "s", "ago", "unchanged", "3", "7", "+0", "~0", "-0", "host:7"),
        *("mirror:", "in", "sync"),
    ]
    assert verdict == "everything is fine"


def test_a_table_with_problems() -> None:
    """Problems of Redis come first; a hold has reasons, changes and a command."""
    first: tuple[dict[str, Any], ...] = (
        {"type": "category.removed", "category": {"id": "1", "local_name": HOSTILE}},
        {},
    )
    hold = Hold("0123456789abcdef", reasons=(HOSTILE,), first=first)
    held = CheckedCatalog(overview("us", hold=hold), [Problem("it is held", is_hold=True)])
    broken = CheckedCatalog(overview("uk", error=HOSTILE, status={}), [Problem(HOSTILE)])
    lines = printed(status_table([held, broken], ["redis is full"], limit=1)).splitlines()
    assert lines[2:] == [
        "… and 1 more",
        "redis is full",
        "us: it is held",
        f"  {ESCAPED}",
        f"  - 1 {ESCAPED}",
        "  ? None None",
        "  approve it with: category-publisher approve us 0123456789abcdef",
        "3 problems",
    ]
    assert f"uk: {ESCAPED}" in printed(status_table([held, broken]))


def test_what_a_table_emphasizes() -> None:
    """Good is green, a hold yellow, what is bad red; the rest has no color."""
    first = ({"type": "category.removed", "category": {"id": "1", "local_name": "A"}},)
    hold = Hold("0123456789abcdef", reasons=("why",), first=first)
    held = CheckedCatalog(overview("us", hold=hold), [Problem("it is held", is_hold=True)])
    broken = CheckedCatalog(overview("uk", error="E", status={}), [Problem("it is broken")])
    heading = [(column, "bold") for column in COLUMNS if column]
    assert styles(status_table([CheckedCatalog(overview("de"), [])])) == [
        *heading,
        *(("de", "bold"), ("unchanged", "green"), ("everything is fine", "green")),
    ]
    assert styles(status_table([held, broken], ["redis is full"])) == [
        *heading,
        *(("us", "bold"), ("unchanged", "green"), ("uk", "bold"), ("unreadable", "bold red")),
        *(("redis is full", "red"), ("us: it is held", "bold yellow"), ("- 1 A", "red")),
        *(("uk: it is broken", "red"), ("3 problems", "bold red")),
    ]
