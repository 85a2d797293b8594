"""The arguments of a commit: made lazily, and the same each time."""

import orjson
import pytest

from publisher.core import digest
from publisher.core.event import Position, row
from publisher.core.model import Category, Change, Origin
from publisher.state.commit import Commit, CommitArguments, StoredPosition

HOME = Category("1", "0", "Home", is_leaf=False)
CUPS = Category("2", "1", "Cups", is_leaf=True)
TOYS = Category("3", "0", "Toys", is_leaf=True)
COMMIT = Commit(
    expected=StoredPosition(b"9f3c1a2b", b"4", b"0123456789abcdef"),
    start=Position("9f3c1a2b", 4, digest.of([TOYS])),
    count=2,
    origin=Origin("file"),
    committed_at="2026-11-23T09:40:03.569Z",
    changes=[Change("added", HOME), Change("added", CUPS), Change("removed", TOYS)],
    invalid_fields=[b"2", b"\xff"],
    max_age_ms=1000,
    max_events=10,
)


@pytest.mark.contract("5.1")
def test_the_header_counts_the_other_arguments() -> None:
    """It counts events, rows, removed ids and meta, in the order of commit.lua."""
    arguments = CommitArguments("us", COMMIT)
    *expected, max_age_ms, max_events, events, rows, removed, meta = arguments.header
    assert (*expected, max_age_ms, max_events) == (*COMMIT.expected, 1000, 10)
    assert (events, rows, removed, meta) == (3, 4, 2, 14)
    found = list(arguments)
    assert len(found) == len(arguments) == 23
    assert [orjson.loads(event)["sequence"][-1] for event in found[:3]] == ["5", "6", "7"]
    assert found[3:7] == [b"1", row(HOME), b"2", row(CUPS)]
    assert found[9::2] == [
        b"contract",
        b"origin",
        b"epoch",
        b"sequence",
        b"digest",
        b"count",
        b"committed_at",
    ]


@pytest.mark.contract("5.2")
def test_an_invalid_field_is_deleted_unless_a_row_replaces_it() -> None:
    """Field 2 gets a new row; the other has no valid id."""
    assert list(CommitArguments("us", COMMIT))[7:9] == [b"3", b"\xff"]


def test_each_iteration_yields_the_same() -> None:
    """A command that redis-py sends again must not differ."""
    arguments = CommitArguments("us", COMMIT)
    assert list(arguments) == list(arguments)
    assert arguments.end == Position("9f3c1a2b", 7, digest.of([HOME, CUPS]))
