"""A copy of a catalog's state in a SQL database: tables `categories` and `checkpoints`."""

from collections.abc import Collection, Sequence
from typing import Final

import structlog

from consumers import digest
from consumers.model import Category, Checkpoint, Event, Snapshot
from consumers.sql import categories
from consumers.sql.checkpoint import CheckpointRow
from consumers.sql.database import Database

log = structlog.get_logger(__name__)

KIND: Final = "mirror"


class Mirror:
    """The projection that has exactly the rows of the state, at its checkpoint."""

    def __init__(self, database: Database, catalog: str) -> None:
        self._database = database
        self._catalog = catalog
        self._checkpoint = CheckpointRow(database, KIND, catalog)

    async def load(self) -> Checkpoint | None:
        """Return the stored checkpoint, if the stored rows are those that it is about.

        So a copy that something else wrote to is made anew when a mirror starts.
        """
        await self._checkpoint.prepare()
        checkpoint, copy = await self.read()
        if checkpoint is None:
            return None
        if (found := digest.of_state(copy.values())) != checkpoint.digest:
            log.warning(
                "the copy was changed by something else, making it anew",
                catalog=self._catalog,
                digest=found,
                position=checkpoint.position,
            )
            return None
        return checkpoint

    async def read(self) -> tuple[Checkpoint | None, Snapshot]:
        """Return checkpoint and rows as they are stored at one moment."""
        async with self._database.reading() as connection:
            checkpoint = await self._checkpoint.load(connection)
            return checkpoint, await categories.read(connection, self._catalog)

    async def rows(self, ids: Collection[str]) -> Snapshot:
        """Return the stored rows of `ids`."""
        async with self._database.reading() as connection:
            return await categories.read(connection, self._catalog, ids)

    async def reset(self, snapshot: Snapshot, checkpoint: Checkpoint) -> None:
        """Have the rows of `snapshot` and no others."""
        async with self._checkpoint.moving(checkpoint) as connection:
            await categories.clear(connection, self._catalog)
            await categories.write(connection, self._catalog, snapshot.values())

    async def apply(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:
        """Apply what `events` come to: of several about one category, the last one."""
        last: dict[str, Category | None] = {
            event.category.id: None if event.type == "removed" else event.category
            for event in events
        }
        gone = [id_ for id_, category in last.items() if category is None]
        there = [category for category in last.values() if category is not None]
        async with self._checkpoint.moving(checkpoint) as connection:
            await categories.remove(connection, self._catalog, gone)
            await categories.write(connection, self._catalog, there)
