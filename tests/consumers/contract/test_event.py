"""Decoding what the publisher writes (contract, 2 and 3)."""

import copy
import json
from typing import Any

import pytest

from consumers.contract.event import Entry, decode, decode_all
from consumers.contract.model import Category
from consumers.errors import BadEntry
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


def changed(place: str, value: Any) -> Any:
    """Return an update with `value` at `place`, or without that field if it is GONE."""
    document = documents()[1]
    *path, last = place.split(".")
    inner = document
    for name in path:
        inner = inner[name]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    return document


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
    assert updated.time == documents()[1]["time"]


def test_any_text_but_zero_is_an_id() -> None:
    """An id need not be a number, nor sort behind one."""
    for id_ in ("-", "00", "é", "a b"):
        (document,) = History().go_to({id_: row(id_, "Home")})
        assert decode(entry(document), "us").category.id == id_


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
        ("specversion", "0.3"),
        ("id", "9f3c1a2b-2"),
        ("id", 5),
        ("id", "9F3C1A2B-2-0f1e2d3c4b5a6978"),
        ("source", "/catalogs/uk"),
        ("source", "/catalogs/zz"),
        ("type", "category.moved"),
        ("type", ["category.updated"]),
        ("subject", "2"),
        ("subject", "-"),
        ("time", None),
        ("dataschema", "urn:category-publisher:category.updated:2"),
        ("dataschema", "urn:category-publisher:category.removed:1"),
        ("epoch", "00000000"),
        ("epoch", "ffffffff"),
        ("sequence", "2"),
        ("sequence", "00000000000000000001"),
        ("sequence", 2),
        ("data", []),
        ("data", "category before digest"),
        ("data.digest", "0" * 16),
        ("data.digest", "f" * 16),
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
        ("data.before.id", "-"),
        *((name, GONE) for name in documents()[1] if name != "datacontenttype"),
        *((f"data.{name}", GONE) for name in ("category", "before", "digest")),
        *((f"data.category.{name}", GONE) for name in row("1", "a")),
    ],
)
def test_what_is_no_event(place: str, value: Any) -> None:
    """A field that is missing, mistyped, or does not fit the others: refused, naming the entry."""
    with pytest.raises(BadEntry, match="entry 7-0"):
        decode(entry(changed(place, value)), "us")


OTHER = "specversion, source, dataschema, subject or time is another one"
EMPTY = "a field of a category is empty, or its id is that of no category"
NUL = "a field of a category holds NUL"


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        ("time", "2026-11-23T09:40:03Z", ValueError(OTHER)),
        ("id", "9f3c1a2b-2", ValueError("id is not epoch, sequence and digest")),
        ("epoch", "00000000", ValueError("id does not fit epoch, sequence and digest")),
        ("data.before.id", "2", ValueError("before is there where it must not be, or of another category")),
        ("data.category.is_leaf", 1, TypeError("a field of a category has another type")),
        ("data.category.parent_id", "", ValueError(EMPTY)),
        ("data.category.id", "0", ValueError(EMPTY)),
        ("data.category.id", "1\0", ValueError(NUL)),
        ("data.category.parent_id", "\0000", ValueError(NUL)),
        ("data.category.local_name", "\0", ValueError(NUL)),
    ],
)  # fmt: skip
def test_why_it_is_no_event(place: str, value: Any, why: Exception) -> None:
    """The log of a consumer tells whoever looks for the writer which rule was broken."""
    with pytest.raises(BadEntry) as caught:
        decode(entry(changed(place, value)), "us")
    assert str(caught.value) == f"entry 7-0 is no event of the contract: {why!r}"


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
