"""Records the history of a catalog in a SQL database."""

from collections.abc import Collection, Sequence
from typing import ClassVar

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Checkpoint, Event, Rows, Snapshot
from consumers.errors import StoreError
from consumers.history.store import HistoryStore, Resync
from consumers.history.tables import category_history, history_resyncs
from consumers.history.versions import RecordPosition, apply_events, apply_snapshot
from consumers.sql.database import Database
from consumers.sql.projection import VerifiableProjection
from plumbing import logs

log = logs.logger(__name__)


class HistoryProjection(VerifiableProjection):
    """Records every version of every category.

    Its rows are those of the versions that are valid now.
    """

    kind: ClassVar = "history"
    tables: ClassVar[Sequence[Table]] = (category_history, history_resyncs)

    def __init__(self, database: Database, catalog: str) -> None:
        super().__init__(database, catalog)
        self._store = HistoryStore(catalog)

    async def load(self) -> Checkpoint | None:
        """Return the stored checkpoint; None if rows or resyncs do not agree with it."""
        checkpoint = await super().load()
        if checkpoint is None:
            return None
        async with self.database.reading() as connection:
            resync = await self._store.read_last_resync(connection)
        if resync is None or resync.last_position != checkpoint.position:
            log.warning(
                "history_resyncs does not match the checkpoint, resyncing",
                catalog=self.catalog,
                recorded=resync and resync.last_position,
                position=checkpoint.position,
            )
            return None
        return checkpoint

    async def rows_in(self, connection: AsyncConnection, ids: Collection[str] | None) -> Rows:
        """Return the categories of the versions that are valid now."""
        versions = await self._store.read_valid(connection, ids)
        return {each.category.id: each.category for each in versions}

    async def reset_in(
        self, connection: AsyncConnection, snapshot: Snapshot, checkpoint: Checkpoint
    ) -> None:
        """Record a resync: end and begin the versions in which `snapshot` differs."""
        before = await self._store.read_last_resync(connection)
        # recorded times never go back, even if the publisher's clock was set back
        at = max(snapshot.committed_at, before.last_at) if before else snapshot.committed_at
        number = await self._store.next_resync_number(connection)
        position = RecordPosition(at, None, number, checkpoint.sequence)
        valid = await self._store.read_valid(connection)
        versions, counts = apply_snapshot(valid, snapshot.rows, position)
        await self._store.write_versions(connection, versions)
        resync = Resync.to(checkpoint, position, counts, before)
        await self._store.add_resync(connection, resync)

    async def apply_in(
        self, connection: AsyncConnection, events: Sequence[Event], checkpoint: Checkpoint
    ) -> None:
        """Record `events`: each begins a version, ends one, or both.

        Raises StoreError if somebody has deleted the resync after which they come.
        """
        resync = await self._store.read_last_resync(connection)
        if resync is None:
            raise StoreError(
                f"{self.address}: somebody deleted the resyncs of catalog {self.catalog} from "
                "history_resyncs: restart this consumer, and it will resync"
            )
        ids = {event.category.id for event in events}
        valid = await self._store.read_valid(connection, ids)
        await self._store.write_versions(connection, apply_events(valid, events, resync.end))
        at = max(resync.last_at, *(event.time for event in events))
        last = RecordPosition(at, checkpoint.position, resync.number, checkpoint.sequence)
        await self._store.advance(connection, resync.number, last)
