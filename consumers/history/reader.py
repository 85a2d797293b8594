"""The record of a catalog, to be asked.

What is recorded up to a mark stays as it is, so each question is a transaction of its own: none is
held while somebody reads the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select

from consumers.errors import NotRecorded
from consumers.history.store import Record, Resync
from consumers.history.tables import history_resyncs
from consumers.history.versions import Mark
from consumers.sql.database import Database


@dataclass(frozen=True, slots=True)
class Past:
    """What there is to ask: `resyncs`, at least one, and the versions. Get one with `load`."""

    resyncs: Sequence[Resync]
    _record: Record
    _database: Database

    def versions(self, *columns: Any) -> Select[Any]:
        """Return the query of `columns` of all versions."""
        return self._record.versions(*columns)

    async def read(self, query: Select[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of `query`; StoreError if the database refuses."""
        async with self._database.reading() as connection:
            return [tuple(row) for row in await connection.execute(query)]

    def told(self, mark: Mark) -> str:
        """Return what was recorded at `mark`, and when, for messages."""
        if mark.event is not None:
            return f"{mark.event} ({mark.at})"
        (to,) = (each.to_position for each in self.resyncs if each.number == mark.resync)
        return f"resync {mark.resync} to {to} ({mark.at})"


async def load(database: Database, catalog: str) -> Past:
    """Return the record of `catalog` in `database` as it is now; NotRecorded if there is none."""
    record = Record(catalog)
    resyncs: Sequence[Resync] = ()
    if await database.has(history_resyncs):
        async with database.reading() as connection:
            resyncs = await record.resyncs(connection)
    if not resyncs:
        raise NotRecorded(
            f"{database.address}: there is no history of catalog {catalog}: "
            f"run `category-consumer history {catalog} --to … --once` first"
        )
    return Past(resyncs, record, database)
