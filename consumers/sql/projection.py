"""Projections in a SQL database: data and checkpoint in one transaction (contract, 5.8)."""

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
    """What it builds of `catalog` is in `database`, and so is its checkpoint.

    One's own projection names its `kind` and its `tables` and says how they are reset and
    changed, within a transaction that is given.
    """

    kind: ClassVar[str]
    """The projection's name in `checkpoints`."""
    tables: ClassVar[Sequence[Table]]
    """Its tables and views, all of the metadata of `consumers.sql.tables`."""

    def __init__(self, database: Database, catalog: str) -> None:
        self.database = database
        self.address = database.address
        self.catalog = catalog
        self.checkpoint = CheckpointRow(database, self.kind, catalog)

    @abstractmethod
    async def reset_in(
        self, connection: AsyncConnection, snapshot: Snapshot, checkpoint: Checkpoint
    ) -> None:
        """Become what `snapshot` says."""

    @abstractmethod
    async def apply_in(
        self, connection: AsyncConnection, events: Sequence[Event], checkpoint: Checkpoint
    ) -> None:
        """Apply `events`."""

    async def prepare(self) -> None:
        """Create the tables that are not there."""
        await self.database.create(checkpoints, *self.tables)

    async def load(self) -> Checkpoint | None:
        """Return the stored checkpoint, in tables that are created if they are not there."""
        await self.prepare()
        async with self.database.reading() as connection:
            return await self.checkpoint.load(connection)

    async def reset(self, snapshot: Snapshot, checkpoint: Checkpoint) -> None:
        """Become what `snapshot` says, at `checkpoint`."""
        async with self.checkpoint.moving(checkpoint) as connection:
            await self.reset_in(connection, snapshot, checkpoint)

    async def apply(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:
        """Apply `events`, which lead to `checkpoint`."""
        async with self.checkpoint.moving(checkpoint) as connection:
            await self.apply_in(connection, events, checkpoint)


class VerifiableProjection(SqlProjection):
    """A projection that has the categories themselves, so that they can be checked.

    Each event is checked against its rows, at each start all rows against the checkpoint's digest,
    and `verify` compares them with the state.
    """

    @abstractmethod
    async def rows_in(self, connection: AsyncConnection, ids: Collection[str] | None) -> Rows:
        """Return the rows kept of `ids`, without those it lacks; of None all."""

    async def load(self) -> Checkpoint | None:
        """Return the stored checkpoint, if the stored rows are those that it is about.

        So data that something else wrote to are made anew when a consumer starts.
        """
        await self.prepare()
        checkpoint, rows = await self.read()
        if checkpoint is None:
            return None
        if (found := digest.of_state(rows.values())) != checkpoint.digest:
            log.warning(
                "the data were changed by something else, making them anew",
                projection=self.kind,
                catalog=self.catalog,
                digest=found,
                position=checkpoint.position,
            )
            return None
        return checkpoint

    async def read(self) -> tuple[Checkpoint | None, Rows]:
        """Return checkpoint and rows as they are stored at one moment."""
        async with self.database.reading() as connection:
            checkpoint = await self.checkpoint.load(connection)
            return checkpoint, await self.rows_in(connection, None)

    async def rows(self, ids: Collection[str]) -> Rows:
        """Return the stored rows of `ids`."""
        async with self.database.reading() as connection:
            return await self.rows_in(connection, ids)
