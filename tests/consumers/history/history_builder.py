"""Builds a recorded history in a database, from trees, without Redis."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from consumers.contract.event import Entry, decode
from consumers.contract.history_point import parse
from consumers.contract.model import Category, Checkpoint, Event, Rows, Snapshot
from consumers.history.projection import HistoryProjection
from consumers.history.query import RecordedChange, read_changes, read_tree
from consumers.history.reader import HistoryReader, open_history
from consumers.history.store import Resync
from consumers.sql.database import open_database
from tests.consumers import pretend_publisher
from tests.consumers.pretend_publisher import Row, row

TIMES = [f"2026-11-23T09:{minute:02}:00.000Z" for minute in range(60)]


class Publisher(pretend_publisher.History):
    """The events and snapshots of one catalog, in the form that a projection takes."""

    def events(self, rows: Rows, time: str = TIMES[0]) -> list[Event]:
        """Make `rows` the state at `time`, and return the events that lead to it."""
        self.time = time
        documents = self.go_to({id_: row._asdict() for id_, row in rows.items()})
        return [
            decode(Entry("1-1", json.dumps(document).encode()), self.catalog)
            for document in documents
        ]

    @property
    def rows(self) -> dict[str, Category]:
        """The rows of the state."""
        return {id_: Category(**row) for id_, row in self.tree.items()}

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint of a consumer that has the state."""
        return Checkpoint(self.epoch, self.sequence, "1-1", f"{self.digest:016x}")

    def snapshot(self) -> Snapshot:
        """Return the state, as a resync reads it."""
        return Snapshot(self.rows, self.time)


def rows(*each: Row) -> dict[str, Category]:
    """Return a tree of rows made with `pretend_publisher.row`."""
    return {one["id"]: Category(**one) for one in each}


@asynccontextmanager
async def open_projection(url: str, catalog: str = "us") -> AsyncIterator[HistoryProjection]:
    """Open the history of `catalog` in database `url`, and load its checkpoint."""
    async with open_database(url) as store:
        history = HistoryProjection(store, catalog)
        await history.load()
        yield history


async def resync(history: HistoryProjection, publisher: Publisher) -> None:
    """Reset `history` to the state of `publisher`."""
    await history.reset(publisher.snapshot(), publisher.checkpoint)


async def apply(history: HistoryProjection, *batches: Sequence[Event]) -> None:
    """Apply `batches` to `history`, each in a transaction."""
    for events in batches:
        await history.apply(events, events[-1].checkpoint)


async def reader_of(history: HistoryProjection) -> HistoryReader:
    """Return a reader of what `history` has recorded."""
    return await open_history(history.database, history.catalog)


async def tree_at(history: HistoryProjection, point: str) -> Rows:
    """Return the recorded tree at `point`, written as on the command line."""
    reader = await reader_of(history)
    return await read_tree(reader, await reader.find_position(parse(point)))


async def changes_between(
    history: HistoryProjection, after: str, until: str
) -> list[Resync | RecordedChange]:
    """Return what was recorded between two points, written as on the command line."""
    reader = await reader_of(history)
    first, last = [await reader.find_position(parse(point)) for point in (after, until)]
    return [each async for each in read_changes(reader, first, last)]


def summary(each: Resync | RecordedChange) -> tuple[Any, ...]:
    """Return a resync's number and counts, or a change's type, id and sequence."""
    if isinstance(each, Resync):
        return each.number, each.added, each.updated, each.removed
    return each.type, each.category.id, each.position.sequence


FIRST = rows(row("1", "Home", is_leaf=False), row("2", "Garden", "1"), row("3", "Toys"))
SECOND = rows(
    row("1", "Home & Garden", is_leaf=False),
    row("2", "Garden", "1", is_leaf=False),
    row("4", "Roses", "2"),
)
THIRD = rows(row("1", "Home", is_leaf=False), row("4", "Roses", "1"), row("5", "Tulips", "1"))
FOURTH = rows(row("1", "Home", is_leaf=False), row("4", "Roses", "1"))


async def record_example(history: HistoryProjection) -> Publisher:
    """Record an example that has everything, and return its publisher.

    At 09:00 the first resync, to FIRST at sequence 3. At 09:05 the events 4 to 7 to SECOND, in two
    batches. At 09:10 the events 8 to 11 to THIRD, which are missed: the second resync. At 09:15
    event 12 to FOURTH.
    """
    publisher = Publisher(history.catalog)
    publisher.events(FIRST, TIMES[0])
    await resync(history, publisher)
    events = publisher.events(SECOND, TIMES[5])
    await apply(history, events[:1], events[1:])
    publisher.events(THIRD, TIMES[10])
    await resync(history, publisher)
    await apply(history, publisher.events(FOURTH, TIMES[15]))
    return publisher
