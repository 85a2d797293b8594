"""Reads and writes the versions and resyncs of one catalog."""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple, Self

from sqlalchemy import Select, func, insert, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Category, Checkpoint
from consumers.history.tables import BEGIN, CATEGORY, END, category_history, history_resyncs
from consumers.history.versions import RecordPosition, ResyncCounts, Version
from consumers.sql.rows import in_ids, upsert

NO_END: Final = (None,) * len(RecordPosition._fields)
"""The end columns of a version that is still valid."""


class Resync(NamedTuple):
    """A resync, and the last event recorded after it.

    Positions are written like event ids (contract, 3), times are RFC 3339.
    """

    number: int
    """Counts the resyncs of the catalog from 1."""
    resynced_at: str
    from_position: str | None
    """The last position recorded before the resync; None for the first resync."""
    to_position: str
    """The position of the state to which the resync went."""
    added: int
    """Categories that the resync found added; `updated` and `removed` likewise."""
    updated: int
    removed: int
    epoch: str
    """The epoch in `to_position`."""
    first_sequence: int
    """The sequence in `to_position`."""
    last_sequence: int
    """That of the last event recorded after the resync; without events, that of the state."""
    last_position: str
    """That of the same event or state."""
    last_at: str
    """The time of the same event or state."""

    @classmethod
    def to(
        cls, state: Checkpoint, position: RecordPosition, counts: ResyncCounts, before: Self | None
    ) -> Self:
        """Return the resync at `position` to `state`; `before` is the resync before it."""
        return cls(
            number=position.resync,
            resynced_at=position.at,
            from_position=before.last_position if before else None,
            to_position=state.position,
            **counts._asdict(),
            epoch=state.epoch,
            first_sequence=state.sequence,
            last_sequence=state.sequence,
            last_position=state.position,
            last_at=position.at,
        )

    @property
    def start(self) -> RecordPosition:
        """The position of the resync itself."""
        return RecordPosition(self.resynced_at, None, self.number, self.first_sequence)

    @property
    def end(self) -> RecordPosition:
        """The last position recorded before the next resync."""
        if self.last_sequence == self.first_sequence:
            return self.start
        return RecordPosition(self.last_at, self.last_position, self.number, self.last_sequence)


RESYNC: Final = tuple(history_resyncs.c[name] for name in Resync._fields)
"""The columns of a Resync, in the order of its fields."""


class HistoryStore:
    """The rows of `catalog` in the tables of the history."""

    def __init__(self, catalog: str) -> None:
        self._catalog = catalog
        self._catalog_condition = history_resyncs.c.catalog == catalog

    def select_versions(self, *columns: Any) -> Select[Any]:
        """Return a query for `columns` of all versions of the catalog."""
        return select(*columns).where(category_history.c.catalog == self._catalog)

    async def read_valid(
        self, connection: AsyncConnection, ids: Collection[str] | None = None
    ) -> list[Version]:
        """Return the versions that are valid now: those of `ids`, or all if None."""
        query = self.select_versions(*CATEGORY, *BEGIN).where(END.at.is_(None))
        if ids is not None:
            query = query.where(in_ids(category_history.c.id, ids, connection.dialect))
        rows = await connection.execute(query)
        return [Version(Category(*row[:4]), RecordPosition(*row[4:])) for row in rows]

    async def write_versions(
        self, connection: AsyncConnection, versions: Sequence[Version]
    ) -> None:
        """Insert the new ones of `versions`, and write the ends of those that are stored."""
        if versions:
            rows = [(self._catalog, *row, *begin, *(end or NO_END)) for row, begin, end in versions]
            await connection.exec_driver_sql(upsert(category_history, connection.dialect), rows)

    async def read_resyncs(self, connection: AsyncConnection) -> list[Resync]:
        """Return all resyncs, in order."""
        query = select(*RESYNC).where(self._catalog_condition).order_by(history_resyncs.c.number)
        return [Resync(*row) for row in await connection.execute(query)]

    async def read_last_resync(self, connection: AsyncConnection) -> Resync | None:
        """Return the last resync; None if there is none."""
        query = (
            select(*RESYNC).where(self._catalog_condition).order_by(history_resyncs.c.number.desc())
        )
        row = (await connection.execute(query.limit(1))).one_or_none()
        return Resync(*row) if row else None

    async def add_resync(self, connection: AsyncConnection, resync: Resync) -> None:
        """Insert `resync`; later events are recorded after it."""
        values = {"catalog": self._catalog, **resync._asdict()}
        await connection.execute(insert(history_resyncs).values(values))

    async def advance(self, connection: AsyncConnection, number: int, last: RecordPosition) -> None:
        """Store `last` as the last position recorded after resync `number`."""
        values = {"last_sequence": last.sequence, "last_position": last.event, "last_at": last.at}
        query = update(history_resyncs).where(
            self._catalog_condition, history_resyncs.c.number == number
        )
        await connection.execute(query.values(values))

    async def next_resync_number(self, connection: AsyncConnection) -> int:
        """Return the number for the next resync, which no version refers to.

        Versions are asked, too: somebody may have deleted resyncs.
        """
        used = union_all(
            select(func.max(history_resyncs.c.number).label("number")).where(
                self._catalog_condition
            ),
            self.select_versions(func.max(BEGIN.resync)),
            self.select_versions(func.max(END.resync)),
        ).subquery()
        highest = await connection.scalar(select(func.max(used.c.number)))
        return 1 + (highest or 0)
