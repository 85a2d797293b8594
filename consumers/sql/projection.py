"""Projections in SQL databases, each with its checkpoint (contract, 5.8)."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import ClassVar

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract import digest
from consumers.contract.model import Checkpoint, Event, Rows, Snapshot
from consumers.following.projection import Projection
from consumers.sql.checkpoint import CheckpointRow
from consumers.sql.database import Database
from consumers.sql.tables import checkpoints
from plumbing import logs

log = logs.logger(__name__)


class SqlProjection(Projection):
    """A projection of `catalog` whose data and checkpoint are both in `database`.

    A subclass names its `kind` and its `tables`, and implements `reset_in` and `apply_in`, which
    run in the transaction of `connection`.
    """

    kind: ClassVar[str]
    """The projection's name in the table `checkpoints`."""
    tables: ClassVar[Sequence[Table]]
    """Its tables and views, all in the `metadata` of `consumers.sql.tables`."""

    def __init__(self, database: Database, catalog: str) -> None:
        self.database = database
        self.address = database.address
        self.catalog = catalog
        self.checkpoint = CheckpointRow(database, self.kind, catalog)

    @abstractmethod
    async def reset_in(
        self, connection: AsyncConnection, snapshot: Snapshot, checkpoint: Checkpoint
    ) -> None:
        """Replace all data by `snapshot`."""

    @abstractmethod
    async def apply_in(
        self, connection: AsyncConnection, events: Sequence[Event], checkpoint: Checkpoint
    ) -> None:
        """Apply `events`."""

    async def prepare(self) -> None:
        """Create the missing tables."""
        await self.database.create(checkpoints, *self.tables)

    async def load(self) -> Checkpoint | None:
        """Return the stored checkpoint; creates the missing tables first."""
        await self.prepare()
        async with self.database.reading() as connection:
            return await self.checkpoint.load(connection)

    async def reset(self, snapshot: Snapshot, checkpoint: Checkpoint) -> None:
        """Replace all data by `snapshot` and store `checkpoint`."""
        async with self.checkpoint.transaction(checkpoint) as connection:
            await self.reset_in(connection, snapshot, checkpoint)

    async def apply(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:
        """Apply `events` and store `checkpoint`."""
        async with self.checkpoint.transaction(checkpoint) as connection:
            await self.apply_in(connection, events, checkpoint)


class VerifiableProjection(SqlProjection):
    """A projection that stores the categories themselves, so that they can be checked.

    Each event is checked against its rows, all rows are checked against the checkpoint's digest at
    each start, and `verify` compares them with the state.
    """

    @abstractmethod
    async def rows_in(self, connection: AsyncConnection, ids: Collection[str] | None) -> Rows:
        """Return the stored rows of those `ids` that exist, or all rows if None."""

    async def load(self) -> Checkpoint | None:
        """Return the stored checkpoint; None if the stored rows do not have its digest.

        So a consumer resyncs at its start if something else has changed the rows.
        """
        await self.prepare()
        checkpoint, rows = await self.read()
        found = digest.of_state(rows.values())
        if checkpoint is not None and found != checkpoint.digest:
            log.warning(
                "rows do not match the checkpoint, resyncing",
                projection=self.kind,
                catalog=self.catalog,
                digest=found,
                position=checkpoint.position,
            )
            return None
        return checkpoint

    async def read(self) -> tuple[Checkpoint | None, Rows]:
        """Return the stored checkpoint and all rows, of the same moment."""
        async with self.database.reading() as connection:
            checkpoint = await self.checkpoint.load(connection)
            return checkpoint, await self.rows_in(connection, None)

    async def rows(self, ids: Collection[str]) -> Rows:
        """Return the stored rows of `ids`."""
        async with self.database.reading() as connection:
            return await self.rows_in(connection, ids)
