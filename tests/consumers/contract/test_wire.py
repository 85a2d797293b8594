"""The quick way to decode and the exact one give the same, whatever the bytes."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers import wire
from consumers.contract import event
from consumers.contract.event import MALFORMED, Entry, decode
from consumers.errors import BadEntry
from tests.consumers.pretend_publisher import History, row

OFFSET = "7-0"
PIECES = [
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


def _documents() -> list[dict[str, Any]]:
    history = History()
    trees = [row("1", "Home"), row("1", 'H\\u0000 "é" 😀', is_leaf=False), row("2", "\ud7ff\n")]
    return [each for one in trees for each in history.go_to({one["id"]: one})]


DOCUMENTS = _documents()


def exact(raw: bytes) -> Any:
    """Decode without the quick way; what is refused is None."""
    try:
        return event._event(orjson.loads(raw), OFFSET, "us")
    except MALFORMED:
        return None


def now(raw: bytes) -> Any:
    """Decode as consumers do; what is refused is None."""
    try:
        return decode(Entry(OFFSET, raw), "us")
    except BadEntry:
        return None


def _same(document: Any) -> None:
    for raw in (orjson.dumps(document), json.dumps(document).encode()):
        assert now(raw) == exact(raw)


@given(st.data(), st.sampled_from(DOCUMENTS))
@settings(max_examples=300)
def test_fields_of_any_kind(data: st.DataObject, sound: dict[str, Any]) -> None:
    """Fields that are missing, new, mistyped or of another event make no difference between them."""
    document = orjson.loads(orjson.dumps(sound))
    other = orjson.loads(orjson.dumps(data.draw(st.sampled_from(DOCUMENTS))))
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
    _same(document)


@given(st.data(), st.sampled_from(DOCUMENTS))
@settings(max_examples=600)
def test_bytes_of_any_kind(data: st.DataObject, sound: dict[str, Any]) -> None:
    """So do bytes that were cut out or put in anywhere."""
    raw = orjson.dumps(sound)
    damage = st.tuples(st.integers(0, len(raw)), st.integers(0, 2), st.sampled_from([b"", *PIECES]))
    for at, length, piece in data.draw(st.lists(damage, min_size=1, max_size=2)):
        raw = raw[:at] + piece + raw[at + length :]
    assert now(raw) == exact(raw)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["type"])
def test_what_the_publisher_writes_is_decoded_quickly(document: dict[str, Any]) -> None:
    """Else the quick way would be of no use; a NUL in no text is one of its refusals."""
    raw = orjson.dumps(document)
    shape = wire.shaped(raw)
    if wire.NUL in raw:
        assert shape is None
    else:
        assert shape is not None
        assert event._agrees(shape, "us")
        assert not event._agrees(shape, "uk")
