"""Decodes events and the categories in them (contract, 3). Pure.

Whatever is not the contract's is refused; fields that the contract does not name are ignored.
`changed` is not looked at, since it follows from `before` and `category`. What has the shape that
`wire` knows is soon done with; the rest is looked at field by field, to say what is wrong.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, get_args

import orjson

from consumers import wire
from consumers.contract.model import Category, Event, EventType
from consumers.errors import BadEntry

ID: Final = re.compile(r"([0-9a-f]{8})-([1-9][0-9]{0,19})-([0-9a-f]{16})")
"""Epoch, sequence and digest make an event's id."""
SEQUENCE_DIGITS: Final = 20
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
"""RFC 3339, UTC, milliseconds: such times sort as text (contract, 2)."""
TYPES: Final[dict[str, tuple[EventType, str]]] = {
    f"category.{type_}": (type_, f"urn:category-publisher:category.{type_}:1")
    for type_ in get_args(EventType)
}
"""By the event's `type`: what happened, and the `dataschema` of it that is known here."""
UPDATED: Final = "category.updated"
ROOT: Final = "0"
MALFORMED: Final = (ValueError, LookupError, TypeError)
"""What looking for a field raises where JSON has another shape."""


class Entry(NamedTuple):
    """One entry of the stream: its id, and its field `event` (None if it has none)."""

    offset: str
    event: bytes | None


def decode(entry: Entry, catalog: str) -> Event:
    """Return the event in `entry` of the stream of `catalog`; BadEntry if there is none."""
    if entry.event is None:
        raise BadEntry(f"entry {entry.offset} has no field event")
    document = wire.shaped(entry.event)
    if document is not None and _agrees(document, catalog):
        return _made(document, entry.offset)
    try:
        return _event(orjson.loads(entry.event), entry.offset, catalog)
    except MALFORMED as error:
        raise BadEntry(f"entry {entry.offset} is no event of the contract: {error!r}") from error


def decode_all(entries: Iterable[Entry], catalog: str) -> tuple[list[Event], str | None]:
    """Return the events in `entries` up to the first that is none, and why it is none."""
    events: list[Event] = []
    try:
        for entry in entries:
            events.append(decode(entry, catalog))  # noqa: PERF401  what was decoded is wanted
    except BadEntry as error:
        return events, str(error)
    return events, None


def decode_category(raw: bytes) -> Category:
    """Return the category in `raw`, JSON; raises one of MALFORMED if there is none."""
    return _category(orjson.loads(raw))


def _category_of(row: wire.Row) -> Category:
    return Category(row.id, row.parent_id, row.local_name, row.is_leaf)


def _agrees(document: wire.Document, catalog: str) -> bool:
    """Say whether each field of a sound shape has the form and the value that it must have."""
    data, type_, sequence = document.data, document.type, document.sequence
    id_ = data.category.id
    return (
        document.source == f"/catalogs/{catalog}"
        and document.dataschema == TYPES[type_][1]
        and document.subject == id_ != ROOT
        and (data.before.id if data.before else None) == (id_ if type_ == UPDATED else None)
        and TIME.fullmatch(document.time) is not None
        and len(sequence) == SEQUENCE_DIGITS
        and document.id == f"{document.epoch}-{sequence.lstrip('0')}-{data.digest}"
        and ID.fullmatch(document.id) is not None
    )


def _made(document: wire.Document, offset: str) -> Event:
    """Return the event that `document`, of which all is known to be sound, says."""
    data = document.data
    return Event(
        TYPES[document.type][0],
        _category_of(data.category),
        _category_of(data.before) if data.before else None,
        document.epoch,
        int(document.sequence),
        data.digest,
        document.time,
        offset,
    )


def _category(row: Any) -> Category:
    id_, parent_id = row["id"], row["parent_id"]
    local_name, is_leaf = row["local_name"], row["is_leaf"]
    if not type(id_) is type(parent_id) is type(local_name) is str or type(is_leaf) is not bool:
        raise TypeError("a field of a category has another type")
    if not (id_ and parent_id and local_name) or id_ == ROOT:
        raise ValueError("a field of a category is empty, or its id is that of no category")
    if "\0" in id_ or "\0" in parent_id or "\0" in local_name:
        raise ValueError("a field of a category holds NUL")
    return Category(id_, parent_id, local_name, is_leaf)


def _event(document: Any, offset: str, catalog: str) -> Event:
    data, time = document["data"], document["time"]
    type_, dataschema = TYPES[document["type"]]
    category = _category(data["category"])
    before = _category(data["before"]) if type_ == "updated" else None
    if (
        document["specversion"] != "1.0"
        or document["source"] != f"/catalogs/{catalog}"
        or document["dataschema"] != dataschema
        or document["subject"] != category.id
        or not TIME.fullmatch(time)
    ):
        raise ValueError("specversion, source, dataschema, subject or time is another one")
    if ("before" in data) != (before is not None) or (before and before.id != category.id):
        raise ValueError("before is there where it must not be, or of another category")
    epoch, sequence, digest = _place(document, data)
    return Event(type_, category, before, epoch, sequence, digest, time, offset)


def _place(document: Any, data: Any) -> tuple[str, int, str]:
    match = ID.fullmatch(document["id"])
    if match is None:
        raise ValueError("id is not epoch, sequence and digest")
    epoch, sequence, digest = match.groups()
    if (
        document["epoch"] != epoch
        or document["sequence"] != sequence.zfill(SEQUENCE_DIGITS)
        or data["digest"] != digest
    ):
        raise ValueError("id does not fit epoch, sequence and digest")
    return epoch, int(sequence), digest
