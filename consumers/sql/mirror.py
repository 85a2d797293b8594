"""A copy of a catalog's state: the table `categories`, and views on it."""

from collections.abc import Collection, Sequence
from typing import ClassVar

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Checkpoint, Event, Rows, Snapshot
from consumers.sql.database import Database
from consumers.sql.projection import VerifiableProjection
from consumers.sql.rows import RowsTable
from consumers.sql.tables import categories, category_breadcrumbs, category_paths


class Mirror(VerifiableProjection):
    """The projection that has exactly the rows of the state."""

    kind: ClassVar = "mirror"
    tables: ClassVar[Sequence[Table]] = (categories, category_paths, category_breadcrumbs)

    def __init__(self, database: Database, catalog: str) -> None:
        super().__init__(database, catalog)
        self._rows = RowsTable(categories, catalog)

    async def rows_in(self, connection: AsyncConnection, ids: Collection[str] | None) -> Rows:
        """Return the stored rows of `ids`, or all if None."""
        return await self._rows.read(connection, ids)

    async def reset_in(
        self,
        connection: AsyncConnection,
        snapshot: Snapshot,
        checkpoint: Checkpoint,  # noqa: ARG002  a mirror needs only the rows
    ) -> None:
        """Replace all rows by those of `snapshot`."""
        await self._rows.clear(connection)
        await self._rows.write(connection, snapshot.rows.values())

    async def apply_in(
        self,
        connection: AsyncConnection,
        events: Sequence[Event],
        checkpoint: Checkpoint,  # noqa: ARG002
    ) -> None:
        """Write and delete the rows that `events` change."""
        await self._rows.apply_events(connection, events)
