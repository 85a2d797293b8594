"""What a user does with mappings, each in one transaction.

`map watch` may run at the same time: every change locks the checkpoint's row first, as the
projection does. So a link is checked against the tree that the states refer to. If a category is
removed before a link with it is committed, the link is rejected. If it is removed afterwards, the
mapping becomes broken.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Checkpoint
from consumers.errors import MappingRejected
from consumers.mapping import linking
from consumers.mapping.evaluate import UNLINKED
from consumers.mapping.linking import LinkRequest
from consumers.mapping.model import CategoryMapping, MappingSnapshot, OwnCategory, Status
from consumers.mapping.projection import MapProjection
from consumers.mapping.store import MappingStore
from consumers.mapping.tables import map_categories, mappings
from consumers.sql.checkpoint import CheckpointRow
from consumers.sql.database import Database
from consumers.sql.rows import RowsTable
from consumers.sql.tables import checkpoints
from plumbing.clock import now, rfc3339


class ImportCounts(NamedTuple):
    """How many own categories are new, have another name or path, or are the same.

    `absent` were imported before, and are not in this import.
    """

    new: int
    changed: int
    same: int
    absent: int


class MappingService:
    """Reads and changes the mappings of `catalog` in `database` on behalf of a user."""

    def __init__(self, database: Database, catalog: str) -> None:
        self.database = database
        self._catalog = catalog
        self._checkpoint = CheckpointRow(database, MapProjection.kind, catalog)
        self._mappings = MappingStore(catalog)
        self._rows = RowsTable(map_categories, catalog)

    async def read_all(self) -> MappingSnapshot:
        """Return mappings and tree of one moment.

        Raises MappingRejected if there is no copy of the tree.
        """
        await self._check_tables()
        async with self.database.reading() as connection:
            if await self._checkpoint.load(connection) is None:
                raise self._no_copy()
            return await self.read_in(connection)

    async def read_in(self, connection: AsyncConnection) -> MappingSnapshot:
        """Return mappings and tree as the transaction of `connection` sees them."""
        mappings = await self._mappings.read_all(connection)
        return MappingSnapshot(mappings, await self._rows.read(connection))

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[tuple[AsyncConnection, Checkpoint | None]]:
        """Open a transaction that nobody else's change of mappings or tree overlaps.

        Gives its connection and the checkpoint of the copy of the tree, None if there is none.
        """
        await self._check_tables()
        async with self.database.writing() as connection:
            yield connection, await self._checkpoint.lock(connection)

    async def import_categories(self, imported: Sequence[OwnCategory]) -> ImportCounts:
        """Import own categories.

        Known keys get the new names and paths, and keep their links.

        Needs no copy of the tree.
        """
        await self.database.create(checkpoints, *MapProjection.tables)
        async with self.database.writing() as connection:
            await self._checkpoint.lock(connection)
            stored = await self._mappings.read_all(connection)
            status = Status(*UNLINKED, rfc3339(now()), None)
            new = [CategoryMapping(own, None, status) for own in imported if own.key not in stored]
            known = [stored[own.key]._replace(own=own) for own in imported if own.key in stored]
            changed = [each for each in known if each != stored[each.own.key]]
            await self._mappings.add(connection, new)
            await self._mappings.write_own(connection, changed)
        same, absent = len(known) - len(changed), len(stored) - len(known)
        return ImportCounts(len(new), len(changed), same, absent)

    async def link(
        self, requests: Sequence[LinkRequest], *, replace: bool = False
    ) -> list[CategoryMapping]:
        """Link own categories and return their mappings.

        Raises MappingRejected, and then none is linked.
        """
        async with self.changing() as (connection, checkpoint):
            if checkpoint is None:
                raise self._no_copy()
            snapshot = await self.read_in(connection)
            linked = linking.link(requests, snapshot, rfc3339(now()), replace=replace)
            await self._mappings.write_links(connection, linked)
        return linked

    async def unlink(self, keys: Sequence[str]) -> None:
        """Remove the links of own categories, all or none. Raises MappingRejected."""
        async with self.changing() as (connection, _):
            mappings = await self._mappings.read_all(connection)
            unlinked = linking.unlink(keys, mappings, rfc3339(now()))
            await self._mappings.write_links(connection, unlinked)

    async def remove(self, keys: Sequence[str]) -> None:
        """Delete own categories with their links, all or none. Raises MappingRejected."""
        async with self.changing() as (connection, _):
            mappings = await self._mappings.read_all(connection)
            linking.check_known(keys, mappings, "nothing was removed")
            await self._mappings.remove(connection, list(dict.fromkeys(keys)))

    async def _check_tables(self) -> None:
        if not await self.database.has(mappings):
            raise self._no_copy()

    def _no_copy(self) -> MappingRejected:
        return MappingRejected(
            f"{self.database.address}: there is no copy of catalog {self._catalog}",
            [f"run `category-consumer map watch {self._catalog} --to … --once` first"],
        )
