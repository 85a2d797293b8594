"""Decodes events and categories from JSON (contract, 2 and 3). Pure.

msgspec checks that each field is present and has its type; the checks here compare the fields with
each other. Fields that the contract does not name are ignored, and so is `changed`, because it
follows from `before` and `category`.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Final, Literal, NamedTuple, get_args

from msgspec import UNSET, Meta, MsgspecError, Struct, UnsetType
from msgspec.json import Decoder

from consumers.contract.model import Category, Event, EventType
from consumers.errors import BadEntry

ID: Final = re.compile(r"([0-9a-f]{8})-([1-9][0-9]{0,19})-([0-9a-f]{16})")
"""An event's id: epoch, sequence and digest."""
SEQUENCE_DIGITS: Final = 20
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
"""RFC 3339, UTC, milliseconds: such times sort as text (contract, 2)."""
TYPES: Final[dict[str, tuple[EventType, str]]] = {
    f"category.{type_}": (type_, f"urn:category-publisher:category.{type_}:1")
    for type_ in get_args(EventType)
}
"""From an event's `type` to its short form and to the `dataschema` that this consumer knows."""
ROOT: Final = "0"
MALFORMED: Final = (MsgspecError, ValueError, RecursionError)
"""Errors of decoding JSON that is not what it should be."""
UPDATED: Final = "category.updated"
BACKSLASH: Final = b"\\"
NUL: Final = rb"\u0000"
"""The only way to write NUL in JSON. Behind another backslash it is text without a NUL."""

Text = Annotated[str, Meta(min_length=1)]


class Entry(NamedTuple):
    """One entry of the stream: its id, and its field `event` (None if it has none)."""

    offset: str
    event: bytes | None


class _Row(Struct, frozen=True, gc=False):
    id: Text
    parent_id: Text
    local_name: Text
    is_leaf: bool


class _Data(Struct, frozen=True, gc=False):
    category: _Row
    digest: str
    before: _Row | UnsetType = UNSET


class _Document(Struct, frozen=True, gc=False):
    specversion: Literal["1.0"]
    id: str
    source: str
    type: Literal["category.added", "category.updated", "category.removed"]
    subject: str
    time: str
    dataschema: str
    epoch: str
    sequence: str
    data: _Data


_decode_document: Final = Decoder(_Document).decode
_decode_row: Final = Decoder(_Row).decode


def decode(entry: Entry, catalog: str) -> Event:
    """Return the event in `entry` of the stream of `catalog`.

    Raises BadEntry, with the entry and the wrong field, if it is not an event of the contract.
    """
    offset, raw = entry
    if raw is None:
        raise BadEntry(f"entry {offset} has no field event")
    try:
        document = _decode_document(raw)
        data = document.data
        _check(document, catalog)
        _check_nul(raw, data.category, data.before)
        category = _category(data.category)
        before = _category(data.before) if data.before else None
    except MALFORMED as error:
        raise BadEntry(f"entry {offset} is not an event of the contract: {error}") from error
    return Event(
        TYPES[document.type][0],
        category,
        before,
        document.epoch,
        int(document.sequence),
        data.digest,
        document.time,
        offset,
    )


def decode_all(entries: Iterable[Entry], catalog: str) -> tuple[list[Event], str | None]:
    """Return the events before the first bad entry, and what is wrong with it.

    The second value is None if all `entries` are events.
    """
    events: list[Event] = []
    try:
        for entry in entries:
            events.append(decode(entry, catalog))  # noqa: PERF401  events before an error are kept
    except BadEntry as error:
        return events, str(error)
    return events, None


def decode_category(raw: bytes) -> Category:
    """Return the category in `raw`, JSON; raises one of MALFORMED if it is none."""
    row = _decode_row(raw)
    _check_nul(raw, row)
    return _category(row)


def _category(row: _Row) -> Category:
    if row.id == ROOT:
        raise ValueError("id: 0 is the root, which is not a category")
    return Category(row.id, row.parent_id, row.local_name, row.is_leaf)


def _check(document: _Document, catalog: str) -> None:
    """Raise ValueError, naming the field, unless the fields agree with each other."""
    data, sequence = document.data, document.sequence
    id_ = data.category.id
    if document.source != f"/catalogs/{catalog}":
        raise ValueError(f"source: not /catalogs/{catalog}")
    if document.dataschema != TYPES[document.type][1]:
        raise ValueError("dataschema: unknown, or of another type")
    if document.subject != id_:
        raise ValueError("subject: not the category's id")
    if (data.before.id if data.before else None) != (id_ if document.type == UPDATED else None):
        raise ValueError("before: missing, not of this category, or not allowed for this type")
    if not TIME.fullmatch(document.time):
        raise ValueError("time: not RFC 3339 in UTC with milliseconds")
    if len(sequence) != SEQUENCE_DIGITS:
        raise ValueError(f"sequence: not {SEQUENCE_DIGITS} digits")
    if document.id != f"{document.epoch}-{sequence.lstrip('0')}-{data.digest}":
        raise ValueError("id: not epoch, sequence and digest of this event")
    if not ID.fullmatch(document.id):
        raise ValueError("id: epoch, sequence or digest is malformed")


def _check_nul(raw: bytes, *rows: _Row | UnsetType) -> None:
    """Raise ValueError if one of `rows`, decoded from `raw`, holds NUL.

    `raw` is searched first, in no time: hardly any JSON has a backslash in it.
    """
    if BACKSLASH not in raw or NUL not in raw:
        return
    for row in filter(None, rows):
        for field in ("id", "parent_id", "local_name"):
            if "\0" in getattr(row, field):
                raise ValueError(f"{field} of a category holds NUL")
