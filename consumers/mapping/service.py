"""What a user does with their mappings, each in one transaction.

`map watch` may run meanwhile: whoever changes something takes the checkpoint's row first, as it
does. So a link is checked against the tree that the states are about, and a category's removal
comes wholly before a link with it (which is refused) or wholly behind (which breaks it).
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Checkpoint
from consumers.errors import MapRefused
from consumers.mapping import linking
from consumers.mapping.evaluate import UNLINKED
from consumers.mapping.linking import Wish
from consumers.mapping.model import Atlas, Mapping, Own, Status
from consumers.mapping.projection import MapProjection
from consumers.mapping.store import MappingsTable
from consumers.mapping.tables import map_categories, mappings
from consumers.sql.checkpoint import CheckpointRow
from consumers.sql.database import Database
from consumers.sql.rows import RowsTable
from consumers.sql.tables import checkpoints
from plumbing.clock import now, rfc3339


class Imported(NamedTuple):
    """How many own categories are new, have another name or path, or are as they were.

    `absent` are there from before, and not in what was imported.
    """

    new: int
    changed: int
    same: int
    absent: int


class Desk:
    """The mappings of `catalog` in `database`."""

    def __init__(self, database: Database, catalog: str) -> None:
        self._database = database
        self._catalog = catalog
        self._checkpoint = CheckpointRow(database, MapProjection.kind, catalog)
        self._mappings = MappingsTable(catalog)
        self._rows = RowsTable(map_categories, catalog)

    async def look(self) -> Atlas:
        """Return mappings and tree as they are at one moment; MapRefused without a copy."""
        await self._check_tables()
        async with self._database.reading() as connection:
            if await self._checkpoint.load(connection) is None:
                raise self._no_copy()
            return await self._read(connection)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[tuple[AsyncConnection, Checkpoint | None]]:
        """Give a transaction, and the copy's checkpoint; nobody else changes both till its end."""
        await self._check_tables()
        async with self._database.writing() as connection:
            yield connection, await self._checkpoint.lock(connection)

    async def bring(self, owns: Sequence[Own]) -> Imported:
        """Import `owns`: the keys that are there keep their links. Needs no copy of the tree."""
        await self._database.create(checkpoints, *MapProjection.tables)
        async with self._database.writing() as connection:
            await self._checkpoint.lock(connection)
            there = await self._mappings.read(connection)
            status = Status(*UNLINKED, rfc3339(now()), None)
            new = [Mapping(own, None, status) for own in owns if own.key not in there]
            known = [own for own in owns if own.key in there]
            both = [there[own.key]._replace(own=own) for own in known]
            changed = [mapping for mapping in both if mapping != there[mapping.own.key]]
            await self._mappings.add(connection, new)
            await self._mappings.write_own(connection, changed)
        return Imported(len(new), len(changed), len(known) - len(changed), len(there) - len(known))

    async def link(self, wishes: Sequence[Wish], *, replace: bool = False) -> list[Mapping]:
        """Link own categories, all or none, and return their mappings; MapRefused."""
        async with self.changing() as (connection, checkpoint):
            if checkpoint is None:
                raise self._no_copy()
            atlas = await self._read(connection)
            made = linking.linked(wishes, atlas, rfc3339(now()), replace=replace)
            await self._mappings.write_decisions(connection, made)
        return made

    async def unlink(self, keys: Sequence[str]) -> None:
        """Take the links of own categories away, all or none; MapRefused."""
        async with self.changing() as (connection, _):
            mappings = await self._mappings.read(connection)
            made = linking.unlinked(keys, mappings, rfc3339(now()))
            await self._mappings.write_decisions(connection, made)

    async def remove(self, keys: Sequence[str]) -> None:
        """Forget own categories, all or none; MapRefused."""
        async with self.changing() as (connection, _):
            mappings = await self._mappings.read(connection)
            linking.check_known(keys, mappings, "nothing was removed")
            await self._mappings.remove(connection, list(dict.fromkeys(keys)))

    async def _read(self, connection: AsyncConnection) -> Atlas:
        mappings = await self._mappings.read(connection)
        return Atlas(mappings, await self._rows.read(connection))

    async def _check_tables(self) -> None:
        if not await self._database.has(mappings):
            raise self._no_copy()

    def _no_copy(self) -> MapRefused:
        catalog = self._catalog
        return MapRefused(
            f"{self._database.address}: there is no copy of catalog {catalog} to look at",
            [f"run `category-consumer map watch {catalog} --to … --once` first"],
        )
