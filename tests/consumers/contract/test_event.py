"""Decoding of events (contract, 2 and 3)."""

import copy
import json
import re
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.contract.event import Entry, decode, decode_all
from consumers.contract.model import Category, Event
from consumers.errors import BadEntry
from tests.consumers.pretend_publisher import History, row
from tests.support.messages import whole

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


def changed(path: str, value: Any) -> Any:
    """Return an update with `value` at `path`, or without that field if it is GONE."""
    document = documents()[1]
    *parents, last = path.split(".")
    inner = document
    for name in parents:
        inner = inner[name]
    if value is GONE:
        del inner[last]
    else:
        inner[last] = value
    return document


@pytest.mark.contract("3")
def test_each_type_of_event() -> None:
    """All types are decoded unchanged, unusual names included."""
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


@pytest.mark.contract("3")
def test_any_text_but_zero_is_an_id() -> None:
    """An id need not be a number."""
    for id_ in ("-", "00", "é", "a b"):
        (document,) = History().go_to({id_: row(id_, "Home")})
        assert decode(entry(document), "us").category.id == id_


@pytest.mark.contract("3")
def test_unknown_fields_are_ignored() -> None:
    """The contract may get new fields, on any level."""
    assert documents()
    for document in documents():
        grown = copy.deepcopy(document)
        grown["traceparent"] = "00-1"
        grown["data"]["reason"] = {"by": "upstream"}
        grown["data"]["category"]["icon"] = None
        assert decode(entry(grown), "us") == decode(entry(document), "us")


@pytest.mark.contract("3")
@pytest.mark.parametrize(
    ("path", "value"),
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
def test_an_invalid_field(path: str, value: Any) -> None:
    """A missing, mistyped or contradictory field is an error that names the entry."""
    with pytest.raises(BadEntry, match="entry 7-0"):
        decode(entry(changed(path, value)), "us")


@pytest.mark.contract("3")
@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("specversion", "2.0", "specversion"),
        ("source", "/catalogs/uk", "source"),
        ("dataschema", "urn:category-publisher:category.updated:2", "dataschema"),
        ("subject", "2", "subject"),
        ("time", "2026-11-23T09:40:03Z", "time"),
        ("sequence", "2", "sequence"),
        ("id", "9f3c1a2b-2", "id"),
        ("epoch", "00000000", "epoch"),
        ("data.before.id", "2", "before"),
        ("data.category.is_leaf", 1, "data.category.is_leaf"),
        ("data.category.parent_id", "", "data.category.parent_id"),
        ("data.category.id", "0", "subject"),
        ("data.category.id", "1\0", "subject"),
        ("data.category.parent_id", "\0000", "parent_id"),
        ("data.category.local_name", "\0", "local_name"),
        ("data.before.local_name", "\0", "local_name"),
    ],
)
def test_the_reason_names_the_field(path: str, value: Any, field: str) -> None:
    """The message names the entry and the field that breaks the contract."""
    with pytest.raises(BadEntry) as caught:
        decode(entry(changed(path, value)), "us")
    text = str(caught.value)
    assert text.startswith("entry 7-0 is not an event of the contract: ")
    assert field in text


@pytest.mark.contract("3")
@pytest.mark.parametrize("id_", ["0", "1\0"])
def test_an_id_that_no_category_has(id_: str) -> None:
    """Refused, even where all fields agree with each other."""
    document = documents()[0]
    document["subject"] = document["data"]["category"]["id"] = id_
    with pytest.raises(BadEntry, match=r"entry 7-0 .*\bid\b"):
        decode(entry(document), "us")


@pytest.mark.contract("3")
@pytest.mark.parametrize(
    "json_",
    [b"", b"{", b"null", b"[]", b'"text"', b"5", b"\xff", b'{"a":"\\ud800"}', b"[" * 100_000],
    ids=lambda json_: repr(json_[:8]),
)
def test_no_json_object(json_: bytes) -> None:
    """Anything but a JSON object is rejected as a bad entry."""
    with pytest.raises(BadEntry, match="entry 7-0"):
        decode(Entry("7-0", json_), "us")


@pytest.mark.contract("3")
def test_an_entry_without_event() -> None:
    """An entry that somebody added by hand."""
    with pytest.raises(BadEntry, match=whole("entry 7-0 has no field event")):
        decode(Entry("7-0", None), "us")


@pytest.mark.contract("3")
def test_before_is_only_for_updates() -> None:
    """Another type of event must not have one."""
    document = copy.deepcopy(documents()[0])
    document["data"]["before"] = document["data"]["category"]
    with pytest.raises(
        BadEntry,
        match=whole(
            "entry 7-0 is not an event of the contract: before: missing, not of this category, "
            "or not allowed for this type"
        ),
    ):
        decode(entry(document), "us")


@pytest.mark.contract("3")
def test_a_batch_up_to_the_first_bad_entry() -> None:
    """The events before it are returned."""
    added, updated, _, _ = documents()
    events, why = decode_all([entry(added), Entry("8-0", None), entry(updated)], "us")
    assert [event.type for event in events] == ["added"]
    assert why == "entry 8-0 has no field event"
    assert decode_all([entry(added)], "us")[1] is None


# Laws: whatever the JSON is, `decode` accepts exactly what the contract says.

SNIPPETS = [
    *(b'"', b"\\", b"\\u0000", b"\\\\u0000", b"\\ud800", b"\\udc00", b"\xff", b"\xed\xa0\x80", b"\x01"),
    *(b"0", b"1", b"null", b"true", b"[]", b"{}", b",", b":", b"}", b" ", b"\n", b'"id":"2",', b'"x":1,'),
]  # fmt: skip
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 3),
    st.sampled_from(["", "0", "1", "2", "a\0", "updated", "1.0", "0" * 16, "0" * 20, "0" * 19 + "1"]),
    st.just([]),
    st.builds(dict),
)  # fmt: skip


def sound_documents() -> list[dict[str, Any]]:
    """Return events of all types, with odd names such as a backslash before `u0000`."""
    history = History()
    trees = [row("1", "Home"), row("1", 'H\\u0000 "é" 😀', is_leaf=False), row("2", "\ud7ff\n")]
    return [each for one in trees for each in history.go_to({one["id"]: one})]


SOUND = sound_documents()


def expected(document: Any) -> Event | None:
    """Return the event in `document` by the contract (3), or None; independent code."""
    try:
        data = document["data"]
        id_ = document["id"]
        parts = re.fullmatch(r"([0-9a-f]{8})-([1-9][0-9]{0,19})-([0-9a-f]{16})", id_)
        type_ = document["type"]
        category = expected_category(data["category"])
        before = expected_category(data["before"]) if type_ == "category.updated" else None
        time = document["time"]
        assert type_ in {"category.added", "category.updated", "category.removed"}
        assert ("before" in data) == (before is not None)
        assert before is None or before.id == category.id
        assert document["specversion"] == "1.0"
        assert document["source"] == "/catalogs/us"
        assert document["dataschema"] == f"urn:category-publisher:{type_}:1"
        assert document["subject"] == category.id
        assert re.fullmatch(r"[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}\.[0-9]{3}Z", time)
        assert parts
        assert document["epoch"] == parts[1]
        assert document["sequence"] == f"{int(parts[2]):020}"
        assert data["digest"] == parts[3]
    except (AssertionError, KeyError, TypeError):
        return None
    short: Any = type_.removeprefix("category.")
    return Event(short, category, before, parts[1], int(parts[2]), parts[3], time, "7-0")


def expected_category(fields: Any) -> Category:
    """Return the category in `fields` by the contract; AssertionError if it is none."""
    category = Category(*(fields[name] for name in Category._fields))
    assert all(type(text) is str and text and "\0" not in text for text in category[:3])
    assert type(category.is_leaf) is bool
    assert category.id != "0"
    return category


def decoded(raw: bytes) -> Event | None:
    """Return the event in `raw`, None if it is rejected."""
    try:
        return decode(Entry("7-0", raw), "us")
    except BadEntry:
        return None


@pytest.mark.contract("3")
@given(st.data(), st.sampled_from(SOUND))
@settings(max_examples=3 * settings().max_examples)
def test_fields_of_any_kind(data: st.DataObject, sound: dict[str, Any]) -> None:
    """Fields that are missing, new, mistyped or another event's: as the contract says."""
    document = orjson.loads(orjson.dumps(sound))
    other = orjson.loads(orjson.dumps(data.draw(st.sampled_from(SOUND))))
    for path in data.draw(
        st.lists(st.sampled_from([(), ("data",), ("data", "category")]), max_size=2)
    ):
        inner, its = document, other
        for name in path:
            inner = inner.get(name) if isinstance(inner, dict) else None
            its = its[name]
        name = data.draw(st.sampled_from([*its, "before", "unknown"]))
        if isinstance(inner, dict):
            inner[name] = data.draw(st.just(its.get(name)) | VALUES)
            if data.draw(st.booleans()):
                del inner[name]
    for raw in (orjson.dumps(document), json.dumps(document).encode()):
        assert decoded(raw) == expected(document)


@pytest.mark.contract("3")
@given(st.data(), st.sampled_from(SOUND))
@settings(max_examples=6 * settings().max_examples)
def test_bytes_of_any_kind(data: st.DataObject, sound: dict[str, Any]) -> None:
    """Bytes that were cut out or put in anywhere: as the contract says.

    Text that is not JSON is rejected. Only inside a field that is ignored (here `x`) is text skipped
    without a check of its bytes.
    """
    document = copy.deepcopy(sound)
    del document["datacontenttype"]
    document["data"].pop("changed", None)
    raw = orjson.dumps(document)
    damage = st.tuples(
        st.integers(0, len(raw)), st.integers(0, 2), st.sampled_from([b"", *SNIPPETS])
    )
    for at, length, piece in data.draw(st.lists(damage, min_size=1, max_size=2)):
        raw = raw[:at] + piece + raw[at + length :]
    try:
        wanted = expected(orjson.loads(raw))
    except orjson.JSONDecodeError:
        wanted = None
    assert decoded(raw) == wanted or (wanted is None and b'"x"' in raw)


@pytest.mark.contract("3")
@pytest.mark.parametrize("document", SOUND, ids=lambda document: document["type"])
def test_every_type_is_accepted(document: dict[str, Any]) -> None:
    """Each sound event of this catalog, and none of another one."""
    raw = orjson.dumps(document)
    assert decoded(raw) == expected(document) is not None
    with pytest.raises(
        BadEntry, match=whole("entry 7-0 is not an event of the contract: source: not /catalogs/uk")
    ):
        decode(Entry("7-0", raw), "uk")
