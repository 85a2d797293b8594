"""Bytes from outside, damaged in any way: a decoder gives a sound value or refuses, nothing else.

What Hypothesis gives here is sound but for some damage, so it gets far into the decoders; bytes and
JSON without any sense are in `tests/core/test_snapshot.py`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.contract.event import Entry, decode_all
from consumers.contract.snapshot import decode_meta, decode_rows
from consumers.errors import BadEntry
from publisher.core.snapshot import Decoder
from publisher.errors import BadSnapshot
from publisher.sources.envelope import Envelope
from tests.faults.changing_source import encode, row
from tests.faults.results_table import ResultsRecorder
from tests.faults.system import Verdict
from tests.support.contract import digest_of, not_under_a_root

TREE = {
    each["id"]: each
    for each in [
        row("1", "0", "Home", is_leaf=False),
        row("2", "1", "Beds \u00e4 <b>"),
        row("3", "0", "Toys"),
    ]
}
ROWS = {id_.encode(): orjson.dumps(each) for id_, each in TREE.items()}
BODY = encode(TREE)
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


@st.composite
def damaged_state(draw: st.DrawFn) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Return the rows and `meta`, a row and a field of which are damaged."""
    field, id_ = draw(st.sampled_from(sorted(META))), draw(st.sampled_from(sorted(ROWS)))
    rows = ROWS | {id_: draw(damaged(ROWS[id_]))}
    return rows, META | {field: draw(damaged(META[field]))}


def answer_is_sound(raw: bytes) -> None:
    """Hold a snapshot to be a forest of categories, whatever the bytes were."""
    try:
        tree = Decoder().decode(raw, bare_list=False).tree
    except BadSnapshot:
        return
    rows = {id_: each.fields() for id_, each in tree.items()}
    assert rows
    assert [why for id_ in rows if (why := not_under_a_root(rows, id_))] == []


def envelope_is_told(raw: bytes) -> None:
    """Tell what an answer says of itself, in one printable line."""
    envelope = Envelope.parse(raw)
    assert envelope is None or envelope.describe(()).isprintable()


def event_is_sound(raw: bytes) -> None:
    """Hold an event's id to be that of its place, or the event to be none."""
    events, why = decode_all([Entry("1-1", raw)], "us")
    assert (len(events) == 1) == (why is None)
    for event in events:
        assert event.checkpoint.position == f"{event.epoch}-{event.sequence}-{event.digest}"


def state_is_sound(damaged: tuple[dict[bytes, bytes], dict[bytes, bytes]]) -> None:
    """Damage to `meta` or a row is refused, or it changes nothing that the digest covers."""
    rows, meta = damaged
    try:
        decoded = decode_rows(rows, decode_meta(meta))
    except BadEntry:
        return
    assert {each.id: row(*each[:3], is_leaf=each.is_leaf) for each in decoded.values()} == TREE


class Law(NamedTuple):
    """What holds for `examples` of what is `drawn`."""

    holds: Callable[[Any], None]
    drawn: st.SearchStrategy[Any]
    examples: int


LAWS = {
    "an answer": Law(answer_is_sound, damaged(BODY), 3000),
    "an answer's envelope": Law(envelope_is_told, damaged(BODY), 1000),
    "an event": Law(event_is_sound, damaged(EVENT), 3000),
    "meta and a row": Law(state_is_sound, damaged_state(), 1000),
}


@pytest.mark.parametrize("what", LAWS)
def test_damaged(what: str, results_without_server: ResultsRecorder, seed: int) -> None:
    """The law holds for whatever the damage makes of it."""
    law, runs = LAWS[what], 0

    @hypothesis.seed(seed)
    @settings(max_examples=law.examples)
    @given(law.drawn)
    def holds(drawn: Any) -> None:
        nonlocal runs
        runs += 1
        law.holds(drawn)

    holds()
    fault = f"bytes of {what} damaged (Hypothesis)"
    results_without_server.record(fault, Verdict([], 0.0), runs=runs, seed=seed, timed=False)


def test_they_are_sound_without_damage() -> None:
    """Else nothing is shown above."""
    assert list(Decoder().decode(BODY, bare_list=False).tree) == list(TREE)
    assert decode_all([Entry("1-1", EVENT)], "us")[1] is None
    assert list(decode_rows(ROWS, decode_meta(META))) == list(TREE)


@pytest.mark.parametrize(
    "raw", [b"[" * 200_000, b'{"a":' * 100_000, b"9" * 10_000, b'"' + b"x" * 10**6]
)
def test_too_deep_or_too_long(raw: bytes) -> None:
    """Neither nesting nor length gets through."""
    with pytest.raises(BadSnapshot):
        Decoder().decode(raw, bare_list=True)
    assert decode_all([Entry("1-1", raw)], "us")[1] is not None
