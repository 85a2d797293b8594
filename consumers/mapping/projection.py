"""The projection that keeps the mappings' states in step with their catalog.

It has a copy of the tree of its own (`map_categories`), so it needs no mirror, and what the user
decides is checked against the very tree that the states are about.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import ClassVar

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Checkpoint, Event, Rows, Snapshot
from consumers.mapping.evaluate import followed, judge, judged
from consumers.mapping.model import Mapping
from consumers.mapping.store import MappingsTable
from consumers.mapping.tables import map_categories, mappings
from consumers.sql.database import Database
from consumers.sql.projection import VerifiableProjection
from consumers.sql.rows import RowsTable


class MapProjection(VerifiableProjection):
    """Writes the states of mappings, and nothing else in them.

    A user's command takes the checkpoint's row first, as this does: so none comes between the
    look at a category and the link with it (`desk`).
    """

    kind: ClassVar = "map"
    tables: ClassVar[Sequence[Table]] = (map_categories, mappings)

    def __init__(self, database: Database, catalog: str) -> None:
        super().__init__(database, catalog)
        self._rows = RowsTable(map_categories, catalog)
        self._mappings = MappingsTable(catalog)

    async def rows_in(self, connection: AsyncConnection, ids: Collection[str] | None) -> Rows:
        """Return the rows of the copy."""
        return await self._rows.read(connection, ids)

    async def reset_in(
        self,
        connection: AsyncConnection,
        snapshot: Snapshot,
        checkpoint: Checkpoint,  # noqa: ARG002  a mapping's state has its own time
    ) -> None:
        """Have the rows of `snapshot`, and judge all mappings that are linked."""
        await self._rows.clear(connection)
        await self._rows.write(connection, snapshot.rows.values())
        old = await self._mappings.linked(connection)
        await self._write(connection, old, [_resynced(mapping, snapshot) for mapping in old])

    async def apply_in(
        self,
        connection: AsyncConnection,
        events: Sequence[Event],
        checkpoint: Checkpoint,  # noqa: ARG002
    ) -> None:
        """Have the rows as `events` leave them, and judge the mappings that they are about."""
        await self._rows.apply_events(connection, events)
        about: dict[str, list[Event]] = defaultdict(list)
        for event in events:
            about[event.category.id].append(event)
        old = await self._mappings.linked(connection, about.keys())
        new = [followed(each, about[each.decision.id]) for each in old if each.decision]
        await self._write(connection, old, new)

    async def _write(
        self, connection: AsyncConnection, old: Sequence[Mapping], new: Sequence[Mapping]
    ) -> None:
        pairs = zip(old, new, strict=True)
        changed = [after for before, after in pairs if after != before]
        await self._mappings.write_status(connection, changed)


def _resynced(mapping: Mapping, snapshot: Snapshot) -> Mapping:
    category = snapshot.rows.get(mapping.decision.id) if mapping.decision else None
    finding = judge(mapping.decision, category)
    return mapping._replace(status=judged(mapping.status, finding, snapshot.committed_at, None))
