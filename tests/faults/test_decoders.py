"""Damaged bytes from outside: a decoder returns a valid value or rejects them.

Hypothesis damages valid values a little, so that they get far into the decoders. Random bytes and
JSON are in tests/publisher/core/test_snapshot.py.
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
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """Draw `valid` with some pieces removed, inserted or repeated."""
    raw = valid
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        end = draw(st.integers(at, min(at + 40, len(raw))))
        piece = draw(st.sampled_from([b"", raw[at:end] * 2, *TOKENS]) | st.binary(max_size=4))
        raw = raw[:at] + piece + raw[end:]
    return raw


@st.composite
def damaged_state(draw: st.DrawFn) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Draw rows and `meta`, with a damaged row and a damaged field."""
    field, id_ = draw(st.sampled_from(sorted(META))), draw(st.sampled_from(sorted(ROWS)))
    rows = ROWS | {id_: draw(damaged(ROWS[id_]))}
    return rows, META | {field: draw(damaged(META[field]))}


def answer_is_valid(raw: bytes) -> None:
    """Check that a decoded snapshot is a forest of categories."""
    try:
        tree = Decoder().decode(raw, bare_list=False).tree
    except BadSnapshot:
        return
    rows = {id_: each.fields() for id_, each in tree.items()}
    assert rows
    assert [why for id_ in rows if (why := not_under_a_root(rows, id_))] == []


def envelope_is_described(raw: bytes) -> None:
    """Check that the description of an answer is one printable line."""
    envelope = Envelope.parse(raw)
    assert envelope is None or envelope.describe(()).isprintable()


def event_is_valid(raw: bytes) -> None:
    """Check that a decoded event's id is that of its position."""
    events, why = decode_all([Entry("1-1", raw)], "us")
    assert (len(events) == 1) == (why is None)
    for event in events:
        assert event.checkpoint.position == f"{event.epoch}-{event.sequence}-{event.digest}"


def state_is_valid(damaged: tuple[dict[bytes, bytes], dict[bytes, bytes]]) -> None:
    """Check that damage is rejected, or changes nothing that the digest covers."""
    rows, meta = damaged
    try:
        decoded = decode_rows(rows, decode_meta(meta))
    except BadEntry:
        return
    assert {each.id: row(*each[:3], is_leaf=each.is_leaf) for each in decoded.values()} == TREE


class DecoderProperty(NamedTuple):
    """A property that `holds` for `examples` of `inputs`."""

    holds: Callable[[Any], None]
    inputs: st.SearchStrategy[Any]
    examples: int


PROPERTIES = {
    "an answer": DecoderProperty(answer_is_valid, damaged(BODY), 3000),
    "an answer's envelope": DecoderProperty(envelope_is_described, damaged(BODY), 1000),
    "an event": DecoderProperty(event_is_valid, damaged(EVENT), 3000),
    "meta and a row": DecoderProperty(state_is_valid, damaged_state(), 1000),
}


@pytest.mark.parametrize("what", PROPERTIES)
def test_damaged(what: str, results_without_server: ResultsRecorder, seed: int) -> None:
    """The property holds for damaged bytes."""
    property_, runs = PROPERTIES[what], 0

    @hypothesis.seed(seed)
    @settings(max_examples=property_.examples)
    @given(property_.inputs)
    def holds(inputs: Any) -> None:
        nonlocal runs
        runs += 1
        property_.holds(inputs)

    holds()
    fault = f"bytes of {what} damaged (Hypothesis)"
    results_without_server.record(fault, Verdict([], 0.0), runs=runs, seed=seed, timed=False)


def test_valid_without_damage() -> None:
    """Without damage the values are valid: else nothing is shown above."""
    assert list(Decoder().decode(BODY, bare_list=False).tree) == list(TREE)
    assert decode_all([Entry("1-1", EVENT)], "us")[1] is None
    assert list(decode_rows(ROWS, decode_meta(META))) == list(TREE)


@pytest.mark.parametrize(
    "raw", [b"[" * 200_000, b'{"a":' * 100_000, b"9" * 10_000, b'"' + b"x" * 10**6]
)
def test_too_deep_or_too_long(raw: bytes) -> None:
    """Deep nesting and great length are rejected."""
    with pytest.raises(BadSnapshot):
        Decoder().decode(raw, bare_list=True)
    assert decode_all([Entry("1-1", raw)], "us")[1] is not None
