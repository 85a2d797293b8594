"""Stores a checkpoint in the transaction of its data (contract, 5.8).

This is optimistic locking: a transaction is committed only if the stored checkpoint is still the
one that this process started from. Of two consumers that write to one copy, the second one ends.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import sqlalchemy.exc
from sqlalchemy import Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Checkpoint
from consumers.errors import CheckpointConflict
from consumers.sql.database import Database
from consumers.sql.tables import checkpoints
from plumbing.clock import now, rfc3339

STORED: Final = tuple(checkpoints.c["epoch", "sequence", "stream_offset", "digest"])
"""The columns of a Checkpoint, in the order of its fields."""


class CheckpointRow:
    """The checkpoint of `projection` (such as `mirror`) of `catalog` in `database`.

    It belongs to the kind and not to a consumer's name, because two mirrors of one catalog write to
    the same rows and so must share one checkpoint.
    """

    def __init__(self, database: Database, projection: str, catalog: str) -> None:
        self._database = database
        self._key = {"projection": projection, "catalog": catalog}
        self._stored: Checkpoint | None = None

    async def load(self, connection: AsyncConnection) -> Checkpoint | None:
        """Return the stored checkpoint or None; the next transaction expects it."""
        self._stored = await self._read(connection, select(*STORED))
        return self._stored

    async def lock(self, connection: AsyncConnection) -> Checkpoint | None:
        """Return the stored checkpoint and lock it until the transaction ends."""
        return await self._read(connection, select(*STORED).with_for_update())

    async def _read(self, connection: AsyncConnection, query: Select[Any]) -> Checkpoint | None:
        row = (await connection.execute(query.filter_by(**self._key))).one_or_none()
        return Checkpoint(*row) if row is not None else None

    @asynccontextmanager
    async def transaction(self, checkpoint: Checkpoint) -> AsyncIterator[AsyncConnection]:
        """Open the transaction that stores `checkpoint`, for changing the data in it too.

        Raises CheckpointConflict if the stored checkpoint is not that of the last `load` or
        `transaction`, StoreError if the database refuses: then nothing is changed. Only after
        StoreUnavailable it is unknown whether the transaction was committed.
        """
        async with self._database.writing() as connection:
            if not await self._compare_and_set(connection, checkpoint):
                raise CheckpointConflict(
                    f"{self._database.address}: another consumer writes to this database's "
                    f"{self._key['projection']} of catalog {self._key['catalog']}: "
                    "stop one of the two"
                )
            yield connection
        self._stored = checkpoint

    async def _compare_and_set(self, connection: AsyncConnection, checkpoint: Checkpoint) -> bool:
        new: dict[str, Any] = dict(zip((column.name for column in STORED), checkpoint, strict=True))
        new["updated_at"] = rfc3339(now())
        if self._stored is not None:
            old = {column.name: value for column, value in zip(STORED, self._stored, strict=True)}
            moved = await connection.execute(
                update(checkpoints).filter_by(**self._key, **old).values(new)
            )
            return moved.rowcount == 1
        try:
            await connection.execute(insert(checkpoints).values(**self._key, **new))
        except sqlalchemy.exc.IntegrityError:
            return False
        return True
