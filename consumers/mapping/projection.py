"""Keeps the states of mappings in sync with their catalog.

It has its own copy of the tree (`map_categories`): so it needs no mirror, and a user's link is
checked against the same tree that the states refer to.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import ClassVar

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Checkpoint, Event, Rows, Snapshot
from consumers.mapping.evaluate import after_events, after_resync
from consumers.mapping.store import MappingStore
from consumers.mapping.tables import map_categories, mappings
from consumers.sql.database import Database
from consumers.sql.projection import VerifiableProjection
from consumers.sql.rows import RowsTable


class MapProjection(VerifiableProjection):
    """Writes the copy of the tree, and of the mappings nothing but their status.

    It locks the checkpoint's row first, as the user's commands do (`MappingService`): so no change
    of a category comes between the check of a link and its commit.
    """

    kind: ClassVar = "map"
    tables: ClassVar[Sequence[Table]] = (map_categories, mappings)

    def __init__(self, database: Database, catalog: str) -> None:
        super().__init__(database, catalog)
        self._rows = RowsTable(map_categories, catalog)
        self._mappings = MappingStore(catalog)

    async def rows_in(self, connection: AsyncConnection, ids: Collection[str] | None) -> Rows:
        """Return the rows of the copy."""
        return await self._rows.read(connection, ids)

    async def reset_in(
        self,
        connection: AsyncConnection,
        snapshot: Snapshot,
        checkpoint: Checkpoint,  # noqa: ARG002  a mapping's state has its own time
    ) -> None:
        """Replace the rows by those of `snapshot`, and evaluate all linked mappings."""
        await self._rows.clear(connection)
        await self._rows.write(connection, snapshot.rows.values())
        linked = await self._mappings.read_linked(connection)
        changed = [new for old in linked if (new := after_resync(old, snapshot)) != old]
        await self._mappings.write_status(connection, changed)

    async def apply_in(
        self,
        connection: AsyncConnection,
        events: Sequence[Event],
        checkpoint: Checkpoint,  # noqa: ARG002
    ) -> None:
        """Apply `events` to the rows, and evaluate the mappings they concern."""
        await self._rows.apply_events(connection, events)
        by_category: dict[str, list[Event]] = defaultdict(list)
        for event in events:
            by_category[event.category.id].append(event)
        linked = await self._mappings.read_linked(connection, by_category.keys())
        new = [after_events(each, by_category[each.linked.id]) for each in linked if each.linked]
        changed = [after for before, after in zip(linked, new, strict=True) if after != before]
        await self._mappings.write_status(connection, changed)
