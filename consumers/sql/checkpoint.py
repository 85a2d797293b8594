"""A projection's checkpoint, which moves in the transaction that moves its data (contract, 5.8).

A transaction goes through only if the stored checkpoint is still the one that this process
started from. So two consumers that write to one copy cannot mix their work: the second one ends.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import sqlalchemy.exc
from sqlalchemy import Select, and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Checkpoint
from consumers.errors import CheckpointConflict
from consumers.sql.database import Database
from consumers.sql.tables import checkpoints
from plumbing.clock import now, rfc3339

STORED: Final = (
    checkpoints.c.epoch,
    checkpoints.c.sequence,
    checkpoints.c.stream_offset,
    checkpoints.c.digest,
)
"""A Checkpoint's fields, in its order."""


class CheckpointRow:
    """The checkpoint of `projection` (a kind, such as `mirror`) of `catalog` in `database`.

    It belongs to the kind and not to a consumer's name: two mirrors of one catalog write to the
    same rows, so they have to meet in the same checkpoint.
    """

    def __init__(self, database: Database, projection: str, catalog: str) -> None:
        self._database = database
        self._key = {"projection": projection, "catalog": catalog}
        self._is_ours = and_(
            checkpoints.c.projection == projection, checkpoints.c.catalog == catalog
        )
        self._stored: Checkpoint | None = None

    async def load(self, connection: AsyncConnection) -> Checkpoint | None:
        """Read the stored checkpoint, from which this process starts; None if there is none."""
        self._stored = await self._read(connection, select(*STORED))
        return self._stored

    async def lock(self, connection: AsyncConnection) -> Checkpoint | None:
        """Read the stored checkpoint, and let nobody move it until the transaction ends."""
        return await self._read(connection, select(*STORED).with_for_update())

    async def _read(self, connection: AsyncConnection, query: Select[Any]) -> Checkpoint | None:
        row = (await connection.execute(query.where(self._is_ours))).one_or_none()
        return Checkpoint(*row) if row is not None else None

    @asynccontextmanager
    async def moving(self, checkpoint: Checkpoint) -> AsyncIterator[AsyncConnection]:
        """Give the transaction in which data and checkpoint become those of `checkpoint`.

        Raises CheckpointConflict if the stored one is not that of the last `load` or `moving`, and
        StoreError if the database refuses; either way nothing was changed.
        """
        async with self._database.writing() as connection:
            if not await self._swap(connection, checkpoint):
                raise CheckpointConflict(
                    f"{self._database.address}: another consumer writes to this store's "
                    f"{self._key['projection']} of catalog {self._key['catalog']}: "
                    "end one of the two"
                )
            yield connection
        self._stored = checkpoint

    async def _swap(self, connection: AsyncConnection, checkpoint: Checkpoint) -> bool:
        new: dict[str, Any] = dict(zip((column.name for column in STORED), checkpoint, strict=True))
        new["updated_at"] = rfc3339(now())
        if self._stored is not None:
            is_the_same = (
                column == value for column, value in zip(STORED, self._stored, strict=True)
            )
            moved = await connection.execute(
                update(checkpoints).where(self._is_ours, *is_the_same).values(new)
            )
            return moved.rowcount == 1
        try:
            await connection.execute(insert(checkpoints).values(**self._key, **new))
        except sqlalchemy.exc.IntegrityError:
            return False
        return True
