"""Reads the tree at a position of the history, and the changes between two."""

from collections.abc import AsyncIterator
from typing import Final, NamedTuple, get_args

from sqlalchemy import ColumnElement, and_, or_

from consumers.contract.model import Category, EventType, Rows
from consumers.history.reader import HistoryReader
from consumers.history.store import Resync
from consumers.history.tables import BEGIN, CATEGORY, END, PositionColumns
from consumers.history.versions import RecordPosition

BATCH: Final = 10_000
"""Sequences read in one query: about 10 MB of changes."""
TYPES: Final[tuple[EventType, ...]] = get_args(EventType)


class RecordedChange(NamedTuple):
    """A change recorded at `position`; the other fields are those of an Event."""

    position: RecordPosition
    category: Category
    type: EventType
    before: Category | None


async def read_tree(reader: HistoryReader, position: RecordPosition) -> Rows:
    """Return the categories as they were just after `position`."""
    # `END.at >= position.at` follows from the second condition, but lets the database use an index
    is_still_valid = or_(END.at.is_(None), and_(END.at >= position.at, ~_is_up_to(END, position)))
    query = reader.store.select_versions(*CATEGORY).where(
        _is_up_to(BEGIN, position), is_still_valid
    )
    return {row[0]: Category(*row) for row in await reader.read(query)}


async def read_changes(
    reader: HistoryReader, after: RecordPosition, until: RecordPosition
) -> AsyncIterator[Resync | RecordedChange]:
    """Yield what was recorded after `after`, up to and including `until`, in order.

    A resync is followed by the differences it found: added, updated, removed, each by id.
    """
    for resync in reader.resyncs:
        number = resync.number
        if not after.resync <= number <= until.resync:
            continue
        if number > after.resync:
            yield resync
        # the resync's own differences have its first sequence
        first = after.sequence if number == after.resync else resync.first_sequence - 1
        last = until.sequence if number == until.resync else resync.last_sequence
        for start in range(first, last, BATCH):
            for change in await _read_batch(reader, number, start, min(start + BATCH, last)):
                yield change


def _is_up_to(columns: PositionColumns, position: RecordPosition) -> ColumnElement[bool]:
    """Return the condition that `columns` are not after `position`."""
    same_resync = and_(columns.resync == position.resync, columns.sequence <= position.sequence)
    return or_(columns.resync < position.resync, same_resync)


async def _read_batch(
    reader: HistoryReader, resync: int, first: int, last: int
) -> list[RecordedChange]:
    """Return the changes after sequence `first` up to `last` that follow `resync`.

    A version that only begins is an addition, one that only ends a removal, both an update.
    """
    found = []
    for columns in (BEGIN, END):
        is_in_batch = (columns.sequence > first, columns.sequence <= last)
        versions = reader.store.select_versions(*columns, *CATEGORY)
        rows = await reader.read(versions.where(columns.resync == resync, *is_in_batch))
        pairs = [(RecordPosition(*row[:4]), Category(*row[4:])) for row in rows]
        found.append({(position.sequence, row.id): (position, row) for position, row in pairs})
    begun, ended = found
    added = [RecordedChange(*begun[key], "added", None) for key in begun.keys() - ended.keys()]
    updated = [
        RecordedChange(*begun[key], "updated", ended[key][1]) for key in begun.keys() & ended.keys()
    ]
    removed = [RecordedChange(*ended[key], "removed", None) for key in ended.keys() - begun.keys()]
    return sorted(
        [*added, *updated, *removed],
        key=lambda change: (change.position.sequence, TYPES.index(change.type), change.category.id),
    )
