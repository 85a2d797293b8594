"""Decoding what the publisher writes (contract, 2 and 3)."""

import copy
import json
from typing import Any

import pytest

from consumers.errors import BadEntry
from consumers.event import Entry, decode, decode_all
from consumers.model import Category
from tests.consumers.pretend_publisher import History, row

GONE = object()


def documents() -> list[dict[str, Any]]:
    """Return the events of an addition, an update and a removal."""
    history = History()
    first, second = row("1", " Home\xa0\n"), row("1", "Home", is_leaf=False)
    other = row("2", "Other")
    return [
        *history.go_to({"1": first}),
        *history.go_to({"1": second}),
        *history.go_to({"2": other}),
    ]


def entry(document: Any) -> Entry:
    """Return the entry of a stream that holds `document`."""
    return Entry("7-0", json.dumps(document).encode())


def test_what_an_event_says() -> None:
    """Every type is decoded as it was written, odd names included."""
    added, updated, other, removed = (decode(entry(one), "us") for one in documents())
    first, second = Category("1", "0", " Home\xa0\n", True), Category("1", "0", "Home", False)
    assert (added.type, added.category, added.before) == ("added", first, None)
    assert (updated.type, updated.category, updated.before) == ("updated", second, first)
    assert (other.type, other.category.id) == ("added", "2")
    assert (removed.type, removed.category, removed.before) == ("removed", second, None)
    assert [one.sequence for one in (added, updated, other, removed)] == [1, 2, 3, 4]
    assert updated.checkpoint.position == documents()[1]["id"]
    assert updated.offset == "7-0"


def test_unknown_fields_are_ignored() -> None:
    """The contract may grow fields, at any place."""
    for document in documents():
        grown = copy.deepcopy(document)
        grown["traceparent"] = "00-1"
        grown["data"]["reason"] = {"by": "upstream"}
        grown["data"]["category"]["icon"] = None
        assert decode(entry(grown), "us") == decode(entry(document), "us")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("specversion", "2.0"),
        ("id", "9f3c1a2b-2"),
        ("id", 5),
        ("id", "9F3C1A2B-2-0f1e2d3c4b5a6978"),
        ("source", "/catalogs/uk"),
        ("type", "category.moved"),
        ("type", ["category.updated"]),
        ("subject", "2"),
        ("time", None),
        ("dataschema", "urn:category-publisher:category.updated:2"),
        ("epoch", "00000000"),
        ("sequence", "2"),
        ("sequence", 2),
        ("data", []),
        ("data", "category before digest"),
        ("data.digest", "0" * 16),
        ("data.category", None),
        ("data.category.id", "0"),
        ("data.category.id", ""),
        ("data.category.id", 1),
        ("data.category.parent_id", ""),
        ("data.category.local_name", ""),
        ("data.category.local_name", "a\0b"),
        ("data.category.local_name", ["a"]),
        ("data.category.is_leaf", 1),
        ("data.before.id", "2"),
        *((name, GONE) for name in documents()[1] if name != "datacontenttype"),
        *((f"data.{name}", GONE) for name in ("category", "before", "digest")),
        *((f"data.category.{name}", GONE) for name in row("1", "a")),
    ],
)
def test_what_is_no_event(place: str, value: Any) -> None:
    """A field that is missing, mistyped, or does not fit the others: refused, naming the entry."""
    document = copy.deepcopy(documents()[1])
    *path, last = place.split(".")
    inner = document
    for name in path:
        inner = inner[name]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    with pytest.raises(BadEntry, match="entry 7-0"):
        decode(entry(document), "us")


@pytest.mark.parametrize(
    "json_",
    [b"", b"{", b"null", b"[]", b'"text"', b"5", b"\xff", b'{"a":"\\ud800"}', b"[" * 100_000],
    ids=lambda json_: repr(json_[:8]),
)
def test_what_is_no_json_object(json_: bytes) -> None:
    """Refused the same way, whatever it is."""
    with pytest.raises(BadEntry, match="entry 7-0"):
        decode(Entry("7-0", json_), "us")


def test_an_entry_without_event() -> None:
    """Somebody's XADD by hand."""
    with pytest.raises(BadEntry, match="entry 7-0 has no field event"):
        decode(Entry("7-0", None), "us")


def test_a_before_too_many() -> None:
    """Only an update has one."""
    document = copy.deepcopy(documents()[0])
    document["data"]["before"] = document["data"]["category"]
    with pytest.raises(BadEntry, match="before"):
        decode(entry(document), "us")


def test_a_batch_up_to_the_first_that_is_none() -> None:
    """What was decoded before it can be applied."""
    added, updated, _, _ = documents()
    events, why = decode_all([entry(added), Entry("8-0", None), entry(updated)], "us")
    assert [event.type for event in events] == ["added"]
    assert why == "entry 8-0 has no field event"
    assert decode_all([entry(added)], "us")[1] is None
