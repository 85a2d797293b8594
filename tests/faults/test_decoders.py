"""Bytes from outside, damaged in any way: a decoder gives a sound value or refuses, nothing else.

What Hypothesis gives here is sound but for some damage, so it gets far into the decoders; bytes and
JSON without any sense are in `tests/core/test_snapshot.py`.
"""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.errors import BadEntry
from consumers.event import Entry, decode_all
from consumers.state import decode_meta, decode_rows
from publisher import snapshot
from publisher.errors import BadSnapshot
from publisher.sources.envelope import Envelope
from tests.faults.checker import digest_of, not_under_a_root
from tests.faults.upstream import encoded, row

TREE = {
    each["id"]: each
    for each in [
        row("1", "0", "Home", is_leaf=False),
        row("2", "1", "Beds \u00e4 <b>"),
        row("3", "0", "Toys"),
    ]
}
BODY = encoded(TREE)
DIGEST = digest_of(TREE)
EVENT = orjson.dumps(
    {
        "specversion": "1.0",
        "id": f"0123abcd-3-{DIGEST}",
        "source": "/catalogs/us",
        "type": "category.updated",
        "dataschema": "urn:category-publisher:category.updated:1",
        "subject": "3",
        "time": "2026-01-01T00:00:00.000Z",
        "epoch": "0123abcd",
        "sequence": f"{3:020}",
        "data": {
            "category": TREE["3"],
            "before": TREE["3"] | {"local_name": "Toy"},
            "changed": ["local_name"],
            "digest": DIGEST,
        },
    }
)
META = {
    b"contract": b"1",
    b"epoch": b"0123abcd",
    b"sequence": b"3",
    b"digest": DIGEST.encode(),
    b"count": b"3",
    b"offset": b"1-1",
    b"committed_at": b"2026-01-01T00:00:00.000Z",
}
TOKENS = [
    *(b"null", b"true", b"[]", b"{}", b"0", b"-1", b"1e999", b"9" * 400, b'""', b"[" * 2000),
    *(b'"', b"\\", b"\\ud800", b"\\u0000", b"\0", b"\xff", b"\xf0\x9f", b",", b":", b"}", b"]"),
    *(
        b'"id"',
        b'"parent_id"',
        b'"local_name"',
        b'"is_leaf"',
        b'"code"',
        b'"categories"',
        b'"data"',
    ),
]


@st.composite
def damaged(draw: st.DrawFn, sound: bytes) -> bytes:
    """Cut out, put in, or repeat some pieces of `sound`."""
    raw = sound
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        end = draw(st.integers(at, min(at + 40, len(raw))))
        piece = draw(st.sampled_from([b"", raw[at:end] * 2, *TOKENS]) | st.binary(max_size=4))
        raw = raw[:at] + piece + raw[end:]
    return raw


@given(damaged(BODY))
@settings(max_examples=3000)
def test_an_answer(raw: bytes) -> None:
    """A snapshot is a forest of categories, whatever the bytes were."""
    try:
        tree = snapshot.decode(raw, bare_list=False).tree
    except BadSnapshot:
        return
    rows = {id_: row(**each.fields()) for id_, each in tree.items()}
    assert rows
    assert [why for id_ in rows if (why := not_under_a_root(rows, id_))] == []


@given(damaged(BODY))
@settings(max_examples=1000)
def test_an_envelope(raw: bytes) -> None:
    """What an answer says of itself can be told, in one printable line."""
    envelope = Envelope.read(raw)
    assert envelope is None or envelope.told(()).isprintable()


@given(damaged(EVENT))
@settings(max_examples=3000)
def test_an_event(raw: bytes) -> None:
    """An event's id is that of its place, or it is none."""
    events, why = decode_all([Entry("1-1", raw)], "us")
    assert (len(events) == 1) == (why is None)
    for event in events:
        assert event.checkpoint.position == f"{event.epoch}-{event.sequence}-{event.digest}"


def test_they_are_sound_without_damage() -> None:
    """Else nothing is shown above."""
    assert list(snapshot.decode(BODY, bare_list=False).tree) == list(TREE)
    assert decode_all([Entry("1-1", EVENT)], "us")[1] is None
    rows = {id_.encode(): orjson.dumps(each) for id_, each in TREE.items()}
    assert list(decode_rows(rows, decode_meta(META))) == list(TREE)


@given(st.data(), st.sampled_from(sorted(META)), st.sampled_from(sorted(TREE)))
@settings(max_examples=1000)
def test_a_state(data: st.DataObject, field: bytes, id_: str) -> None:
    """Damage to `meta` or a row is refused, or it changes nothing that the digest covers."""
    rows = {each.encode(): orjson.dumps(TREE[each]) for each in TREE}
    meta = META | {field: data.draw(damaged(META[field]))}
    rows[id_.encode()] = data.draw(damaged(rows[id_.encode()]))
    try:
        decoded = decode_rows(rows, decode_meta(meta))
    except BadEntry:
        return
    assert {each.id: row(*each[:3], is_leaf=each.is_leaf) for each in decoded.values()} == TREE


@pytest.mark.parametrize(
    "raw", [b"[" * 200_000, b'{"a":' * 100_000, b"9" * 10_000, b'"' + b"x" * 10**6]
)
def test_too_deep_or_too_long(raw: bytes) -> None:
    """Neither nesting nor length gets through."""
    with pytest.raises(BadSnapshot):
        snapshot.decode(raw, bare_list=True)
    assert decode_all([Entry("1-1", raw)], "us")[1] is not None
