"""Reads the recorded history of one catalog.

What is recorded up to a position never changes, so each query is a transaction of its own: none
stays open while somebody reads the result.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select

from consumers.contract.history_point import EventRef, HistoryPoint
from consumers.errors import NotRecorded
from consumers.history.store import HistoryStore, Resync
from consumers.history.tables import BEGIN, END, PositionColumns, history_resyncs
from consumers.history.versions import RecordPosition
from consumers.sql.database import Database

MAX_RANGES: Final = 3
"""How many ranges of sequences an error message names: the newest ones."""


@dataclass(frozen=True, slots=True)
class HistoryReader:
    """Reads versions and resyncs; `resyncs` are all of them in order, at least one.

    Returned by `open_history`.
    """

    resyncs: Sequence[Resync]
    store: HistoryStore
    _database: Database

    async def read(self, query: Select[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of `query`. Raises StoreError if the database fails."""
        async with self._database.reading() as connection:
            return [tuple(row) for row in await connection.execute(query)]

    async def find_position(self, point: HistoryPoint) -> RecordPosition:
        """Return the last recorded position that is not after `point`.

        If a sequence was recorded several times, after a failover or in several epochs, the newest
        one that matches is returned. A time after the end of the history means its end.
        Raises NotRecorded if `point` is before the history, or between two ranges of sequences.
        """
        if isinstance(point, EventRef):
            return await self._find_event(point)
        for resync in reversed(self.resyncs):
            if resync.last_at <= point:
                return resync.end
            if resync.resynced_at <= point:
                return await self._last_position(resync, lambda columns: columns.at <= point)
        raise NotRecorded(
            f"{point} is before the recorded history of this catalog: {self._extent()}"
        )

    def describe(self, position: RecordPosition) -> str:
        """Return for messages which event or resync is at `position`, and its time."""
        if position.event is not None:
            return f"{position.event} ({position.at})"
        (to,) = (each.to_position for each in self.resyncs if each.number == position.resync)
        return f"resync {position.resync} to {to} ({position.at})"

    async def _find_event(self, ref: EventRef) -> RecordPosition:
        for resync in reversed(self.resyncs):
            has_sequence = resync.first_sequence <= ref.sequence <= resync.last_sequence
            if has_sequence and ref.epoch in {None, resync.epoch}:
                position = await self._last_position(resync, lambda it: it.sequence <= ref.sequence)
                event = position.event or resync.to_position
                if ref.digest is None or event.endswith(ref.digest):
                    return position
        raise NotRecorded(f"{ref} is not in the recorded history of this catalog: {self._extent()}")

    async def _last_position(
        self, resync: Resync, matches: Callable[[PositionColumns], ColumnElement[bool]]
    ) -> RecordPosition:
        """Return the last position after `resync` that `matches`, or its own position."""
        positions = [resync.start]
        for columns in (BEGIN, END):
            query = self.store.select_versions(*columns).where(columns.resync == resync.number)
            newest_first = query.where(matches(columns)).order_by(columns.sequence.desc())
            positions += [RecordPosition(*row) for row in await self.read(newest_first.limit(1))]
        return max(positions, key=lambda position: position.sequence)

    def _extent(self) -> str:
        """Return for messages which times and sequences are recorded."""
        ranges = [f"{r.epoch}-{r.first_sequence} to {r.last_sequence}" for r in self.resyncs]
        older = len(ranges) - MAX_RANGES
        more = f" and {older} older ranges" if older > 0 else ""
        times = f"{self.resyncs[0].resynced_at} to {self.resyncs[-1].last_at}"
        return f"it covers {times}, sequences {', '.join(ranges[-MAX_RANGES:])}{more}"


async def open_history(database: Database, catalog: str) -> HistoryReader:
    """Return a reader of the history of `catalog` as it is now.

    Raises NotRecorded if `database` has no history of it.
    """
    store = HistoryStore(catalog)
    resyncs: Sequence[Resync] = ()
    if await database.has(history_resyncs):
        async with database.reading() as connection:
            resyncs = await store.read_resyncs(connection)
    if not resyncs:
        raise NotRecorded(
            f"{database.address}: there is no history of catalog {catalog}: "
            f"run `category-consumer history {catalog} --to … --once` first"
        )
    return HistoryReader(resyncs, store, database)
