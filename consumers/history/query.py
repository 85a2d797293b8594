"""What was at a mark of the record, and what changed between two."""

from collections.abc import AsyncIterator, Iterator
from typing import Final, NamedTuple, get_args

from sqlalchemy import ColumnElement, and_, or_

from consumers.contract.model import Category, EventType, Rows
from consumers.history.reader import Past
from consumers.history.store import Resync
from consumers.history.tables import BEGIN, CATEGORY, END, MarkColumns
from consumers.history.versions import Mark

SPAN: Final = 10_000
"""Sequences that are read at once: some 10 MB of changes."""
TYPES: Final[tuple[EventType, ...]] = get_args(EventType)


class Change(NamedTuple):
    """What was recorded at `mark` of one category; the rest is as in an Event."""

    mark: Mark
    category: Category
    type: EventType
    before: Category | None


async def tree(past: Past, mark: Mark) -> Rows:
    """Return the categories as they were right behind `mark`.

    That times agree with the record's order is no part of the condition, but lets an index find
    what had not ended yet.
    """
    is_still_valid = or_(END.at.is_(None), and_(END.at >= mark.at, ~_is_in(END, mark)))
    query = past.versions(*CATEGORY).where(_is_in(BEGIN, mark), is_still_valid)
    return {row[0]: Category(*row) for row in await past.read(query)}


def _is_in(end: MarkColumns, mark: Mark) -> ColumnElement[bool]:
    """Say that this end of a version is not behind `mark`."""
    in_its_stretch = and_(end.resync == mark.resync, end.sequence <= mark.sequence)
    return or_(end.resync < mark.resync, in_its_stretch)


async def changes(past: Past, after: Mark, until: Mark) -> AsyncIterator[Resync | Change]:
    """Yield what was recorded behind `after`, up to `until` and with it, in order.

    A resync comes before the differences that it found: added, updated, removed, each by id.
    """
    for resync in past.resyncs:
        if after.resync < resync.number <= until.resync:
            yield resync
        for first, last in _spans(resync, after, until):
            for change in await _between(past, resync.number, first, last):
                yield change


def _spans(resync: Resync, after: Mark, until: Mark) -> Iterator[tuple[int, int]]:
    """Yield the sequences to read behind `resync`: each time those behind the first number."""
    if not after.resync <= resync.number <= until.resync:
        return
    is_first, is_last = resync.number == after.resync, resync.number == until.resync
    first = after.sequence if is_first else resync.first_sequence - 1  # it has that one itself
    last = until.sequence if is_last else resync.last_sequence
    for start in range(first, last, SPAN):
        yield start, min(start + SPAN, last)


async def _between(past: Past, resync: int, first: int, last: int) -> list[Change]:
    begun, ended = [await _ends(past, end, resync, first, last) for end in (BEGIN, END)]
    added = [Change(*begun[of], "added", None) for of in begun.keys() - ended.keys()]
    updated = [Change(*begun[of], "updated", ended[of][1]) for of in begun.keys() & ended.keys()]
    removed = [Change(*ended[of], "removed", None) for of in ended.keys() - begun.keys()]
    return sorted(
        [*added, *updated, *removed],
        key=lambda change: (change.mark.sequence, TYPES.index(change.type), change.category.id),
    )


async def _ends(
    past: Past, end: MarkColumns, resync: int, first: int, last: int
) -> dict[tuple[int, str], tuple[Mark, Category]]:
    """Return by sequence and id which versions have this end there."""
    query = past.versions(*end, *CATEGORY).where(
        end.resync == resync, end.sequence > first, end.sequence <= last
    )
    found = ((Mark(*row[:4]), Category(*row[4:])) for row in await past.read(query))
    return {(mark.sequence, category.id): (mark, category) for mark, category in found}
