"""The history of a catalog in a SQL database: tables `category_history` and `history_resyncs`."""

from collections.abc import Collection, Sequence
from typing import ClassVar

import structlog
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Checkpoint, Event, Rows, Snapshot
from consumers.errors import StoreError
from consumers.history import versions as version
from consumers.history.store import Record, Resync
from consumers.history.tables import category_history, history_resyncs
from consumers.history.versions import Mark
from consumers.sql.database import Database
from consumers.sql.projection import VerifiableProjection

log = structlog.get_logger(__name__)


class History(VerifiableProjection):
    """The projection that forgets nothing: its rows are the versions that are valid now."""

    kind: ClassVar = "history"
    tables: ClassVar[Sequence[Table]] = (category_history, history_resyncs)

    def __init__(self, database: Database, catalog: str) -> None:
        super().__init__(database, catalog)
        self._record = Record(catalog)

    async def load(self) -> Checkpoint | None:
        """Return the stored checkpoint, if rows and record are those that it is about."""
        checkpoint = await super().load()
        if checkpoint is None:
            return None
        async with self.database.reading() as connection:
            last = await self._record.last(connection)
        if last is None or last.last_position != checkpoint.position:
            log.warning(
                "the record of resyncs was changed by something else, resyncing",
                catalog=self.catalog,
                recorded=last and last.last_position,
                position=checkpoint.position,
            )
            return None
        return checkpoint

    async def rows_in(self, connection: AsyncConnection, ids: Collection[str] | None) -> Rows:
        """Return the rows of the versions that are valid now."""
        versions = await self._record.valid(connection, ids)
        return {each.category.id: each.category for each in versions}

    async def reset_in(
        self, connection: AsyncConnection, snapshot: Snapshot, checkpoint: Checkpoint
    ) -> None:
        """Record a resync: the differences of `snapshot` from the versions that are valid."""
        last = await self._record.last(connection)
        at = max(snapshot.committed_at, last.last_at) if last else snapshot.committed_at
        number = await self._record.next_number(connection)
        mark = Mark(at, None, number, checkpoint.sequence)
        valid = await self._record.valid(connection)
        versions, counts = version.resync(valid, snapshot.rows, mark)
        await self._record.write(connection, versions)
        await self._record.begin(connection, Resync.to(checkpoint, mark, counts, last))

    async def apply_in(
        self, connection: AsyncConnection, events: Sequence[Event], checkpoint: Checkpoint
    ) -> None:
        """Record each of `events`: it begins a version, ends one, or both."""
        last = await self._record.last(connection)
        if last is None:
            raise StoreError(
                f"{self.address}: the resyncs of catalog {self.catalog} are no longer in "
                "history_resyncs: start again, and it will resync"
            )
        ids = {event.category.id for event in events}
        valid = await self._record.valid(connection, ids)
        await self._record.write(connection, version.follow(valid, events, last.last))
        at = max(last.last_at, *(event.time for event in events))
        mark = Mark(at, checkpoint.position, last.number, checkpoint.sequence)
        await self._record.go_on(connection, last.number, mark)
