"""Histories kept in this process, of states and events made by hand or drawn."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from consumers.contract.event import Entry, decode
from consumers.contract.model import Category, Checkpoint, Event, Rows, Snapshot
from consumers.history.projection import HistoryProjection
from consumers.history.reader import HistoryReader, open_history
from consumers.sql.database import open_database
from tests.consumers import pretend_publisher
from tests.consumers.pretend_publisher import Row, row

TIMES = [f"2026-11-23T09:{minute:02}:00.000Z" for minute in range(60)]


class Publisher(pretend_publisher.History):
    """A history of one catalog, as events and snapshots for a projection."""

    def events(self, rows: Rows, time: str = TIMES[0]) -> list[Event]:
        """Make `rows` the state at `time`, and return the events that lead there."""
        self.time = time
        documents = self.go_to({id_: row._asdict() for id_, row in rows.items()})
        return [_decoded(document, self.catalog) for document in documents]

    @property
    def rows(self) -> dict[str, Category]:
        """The state's rows."""
        return {id_: Category(**row) for id_, row in self.tree.items()}

    @property
    def checkpoint(self) -> Checkpoint:
        """Where the state is."""
        return Checkpoint(self.epoch, self.sequence, "1-1", f"{self.digest:016x}")

    def snapshot(self) -> Snapshot:
        """Return the state."""
        return Snapshot(self.rows, self.time)


def _decoded(document: dict[str, Any], catalog: str) -> Event:
    return decode(Entry("1-1", json.dumps(document).encode()), catalog)


def rows(*each: Row) -> dict[str, Category]:
    """Return a tree of rows as `pretend_publisher.row` makes them."""
    return {one["id"]: Category(**one) for one in each}


@asynccontextmanager
async def open_projection(url: str, catalog: str = "us") -> AsyncIterator[HistoryProjection]:
    """Open the history of `catalog` in database `url`, and load its checkpoint."""
    async with open_database(url) as store:
        history = HistoryProjection(store, catalog)
        await history.load()
        yield history


async def resync(history: HistoryProjection, publisher: Publisher) -> None:
    """Let `history` become what the state is."""
    await history.reset(publisher.snapshot(), publisher.checkpoint)


async def apply(history: HistoryProjection, *batches: Sequence[Event]) -> None:
    """Let `history` apply `batches`, one transaction each."""
    for events in batches:
        await history.apply(events, events[-1].checkpoint)


async def reader_of(history: HistoryProjection) -> HistoryReader:
    """Return the record of `history`, to be asked."""
    return await open_history(history.database, history.catalog)


FIRST = rows(row("1", "Home", is_leaf=False), row("2", "Garden", "1"), row("3", "Toys"))
SECOND = rows(
    row("1", "Home & Garden", is_leaf=False),
    row("2", "Garden", "1", is_leaf=False),
    row("4", "Roses", "2"),
)
THIRD = rows(row("1", "Home", is_leaf=False), row("4", "Roses", "1"), row("5", "Tulips", "1"))
FOURTH = rows(row("1", "Home", is_leaf=False), row("4", "Roses", "1"))


async def record_example(history: HistoryProjection) -> Publisher:
    """Let `history` go through all there is, and return who published it.

    09:00 the first resync, to FIRST at sequence 3; 09:05 events 4 to 7 to SECOND, in two batches;
    09:10 events 8 to 11 to THIRD, which are missed: the second resync; 09:15 event 12 to FOURTH.
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
