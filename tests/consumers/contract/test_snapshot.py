"""Decoding of a state: `meta`, and rows that must fit it (contract, 2 and 5.7)."""

import json

import pytest

from consumers.contract.model import Category
from consumers.contract.snapshot import decode_meta, decode_rows
from consumers.errors import BadEntry
from tests.consumers.pretend_publisher import TIME, row
from tests.support.contract import digest_of

HOME, TOYS = row("1", "Home"), row("2", "Toys", "1")
TREE = {"1": HOME, "2": TOYS}
ROWS = {id_.encode(): json.dumps(one).encode() for id_, one in TREE.items()}
META = {
    b"contract": b"1",
    b"epoch": b"9f3c1a2b",
    b"sequence": b"105",
    b"offset": b"7-0",
    b"digest": digest_of(TREE).encode(),
    b"count": b"2",
    b"committed_at": TIME.encode(),
}


@pytest.mark.contract("2")
def test_meta_and_rows_that_fit() -> None:
    """Both are decoded as they were written; unknown fields of `meta` are ignored."""
    meta = decode_meta({**META, b"unknown": b"\xff"})
    assert meta.position == f"9f3c1a2b-105-{digest_of(TREE)}"
    assert (meta.count, meta.offset, meta.committed_at) == (2, "7-0", TIME)
    assert decode_rows(ROWS, meta) == {id_: Category(**one) for id_, one in TREE.items()}


@pytest.mark.contract("2")
@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        (b"contract", b"2", "its contract is 2"),
        (b"epoch", b"9F3C1A2B", "malformed"),
        (b"sequence", b"-1", "malformed"),
        (b"digest", b"0", "malformed"),
        (b"offset", b"7", "malformed"),
        (b"committed_at", b"yesterday", "malformed"),
        (b"count", b"\xff", "malformed"),
        (b"count", b"0", "empty state"),
    ],
)
def test_an_invalid_meta(field: bytes, value: bytes, reason: str) -> None:
    """A field of another form, another contract, or an empty state."""
    with pytest.raises(BadEntry, match=reason):
        decode_meta({**META, field: value})


@pytest.mark.contract("2")
@pytest.mark.parametrize("field", META)
def test_a_missing_field(field: bytes) -> None:
    """`meta` has all fields that a consumer needs, or it is not valid."""
    with pytest.raises(BadEntry):
        decode_meta({name: value for name, value in META.items() if name != field})


@pytest.mark.contract("5.7")
@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ({}, "there are 0 categories, but meta says 2"),
        ({**ROWS, b"1": json.dumps(row("1", "House")).encode()}, "the rows have digest"),
        ({**ROWS, b"1": b"no json"}, "the row of b'1' is not a category"),
        ({**ROWS, b"1": json.dumps(TOYS).encode()}, "the row of b'1' is that of '2'"),
        ({**ROWS, b"1": json.dumps(HOME | {"is_leaf": 1}).encode()}, "is_leaf"),
        ({**ROWS, b"1": json.dumps(HOME | {"local_name": "a\0"}).encode()}, "local_name"),
        ({**ROWS, b"0": json.dumps(row("0", "Root")).encode()}, "id: 0 is the root"),
    ],
)
def test_rows_that_do_not_fit(rows: dict[bytes, bytes], reason: str) -> None:
    """Rows that are missing, changed or not categories are not a state to resync to."""
    with pytest.raises(BadEntry, match=reason):
        decode_rows(rows, decode_meta(META))
