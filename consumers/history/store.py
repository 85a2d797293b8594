"""Reading and writing the record of one catalog: its versions, and its resyncs."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Self

from sqlalchemy import Select, func, insert, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Category, Checkpoint
from consumers.history.tables import BEGIN, CATEGORY, END, category_history, history_resyncs
from consumers.history.versions import Counts, Mark, Version
from consumers.sql.rows import in_ids, upsert


class Resync(NamedTuple):
    """A resync, and how far events have led behind it; counts are of categories.

    Positions are written like event ids (contract, 3): `from_position` is what was recorded last
    before it, None if nothing was; `to_position` the state that it found, and `epoch` and
    `first_sequence` parts of that; `last_…` are of the last event since, or if none of the state.
    """

    number: int
    resynced_at: str
    from_position: str | None
    to_position: str
    added: int
    updated: int
    removed: int
    epoch: str
    first_sequence: int
    last_sequence: int
    last_position: str
    last_at: str

    @classmethod
    def to(cls, state: Checkpoint, mark: Mark, counts: Counts, before: Self | None) -> Self:
        """Return the resync at `mark` to `state`, which found `counts`; `before` is the last."""
        return cls(
            number=mark.resync,
            resynced_at=mark.at,
            from_position=before.last_position if before else None,
            to_position=state.position,
            **counts._asdict(),
            epoch=state.epoch,
            first_sequence=state.sequence,
            last_sequence=state.sequence,
            last_position=state.position,
            last_at=mark.at,
        )

    @property
    def mark(self) -> Mark:
        """The moment of the resync itself."""
        return Mark(self.resynced_at, None, self.number, self.first_sequence)

    @property
    def last(self) -> Mark:
        """The last moment recorded before the next resync."""
        if self.last_sequence == self.first_sequence:
            return self.mark
        return Mark(self.last_at, self.last_position, self.number, self.last_sequence)


class Record:
    """The tables of the history, as far as they are about `catalog`."""

    def __init__(self, catalog: str) -> None:
        self._catalog = catalog
        self._is_ours = history_resyncs.c.catalog == catalog

    def versions(self, *columns: Any) -> Select[Any]:
        """Return the query of `columns` of the catalog's versions, all of them."""
        return select(*columns).where(category_history.c.catalog == self._catalog)

    async def valid(
        self, connection: AsyncConnection, ids: Collection[str] | None = None
    ) -> list[Version]:
        """Return the versions of `ids` that are valid now; of None all."""
        query = self.versions(*CATEGORY, *BEGIN).where(END.at.is_(None))
        if ids is not None:
            query = query.where(in_ids(category_history.c.id, ids, connection.dialect))
        rows = await connection.execute(query)
        return [Version(Category(*row[:4]), Mark(*row[4:])) for row in rows]

    async def write(self, connection: AsyncConnection, versions: Sequence[Version]) -> None:
        """Insert the versions that are new, and end those that have ended."""
        if versions:
            rows = [(self._catalog, *each.category, *each.begin, *_end(each)) for each in versions]
            await connection.exec_driver_sql(upsert(category_history, connection.dialect), rows)

    async def resyncs(self, connection: AsyncConnection) -> list[Resync]:
        """Return all resyncs, in order."""
        query = self._resyncs().order_by(history_resyncs.c.number)
        return [Resync(*row) for row in await connection.execute(query)]

    async def last(self, connection: AsyncConnection) -> Resync | None:
        """Return the last resync; None if there was none."""
        query = self._resyncs().order_by(history_resyncs.c.number.desc()).limit(1)
        row = (await connection.execute(query)).one_or_none()
        return row if row is None else Resync(*row)

    async def begin(self, connection: AsyncConnection, resync: Resync) -> None:
        """Insert `resync`, behind which events will be recorded."""
        values = {"catalog": self._catalog, **resync._asdict()}
        await connection.execute(insert(history_resyncs).values(values))

    async def go_on(self, connection: AsyncConnection, number: int, last: Mark) -> None:
        """Keep how far events have led behind resync `number`: to `last`."""
        done = {"last_sequence": last.sequence, "last_position": last.event, "last_at": last.at}
        is_it = history_resyncs.c.number == number
        await connection.execute(update(history_resyncs).where(self._is_ours, is_it).values(done))

    async def next_number(self, connection: AsyncConnection) -> int:
        """Return a number for a resync that no version has been marked with."""
        used = union_all(
            select(func.max(history_resyncs.c.number).label("number")).where(self._is_ours),
            self.versions(func.max(BEGIN.resync)),
            self.versions(func.max(END.resync)),
        ).subquery()
        highest = await connection.scalar(select(func.max(used.c.number)))
        return 1 + (highest or 0)

    def _resyncs(self) -> Select[Any]:
        columns = [history_resyncs.c[name] for name in Resync._fields]
        return select(*columns).where(self._is_ours)


def _end(version: Version) -> tuple[Any, ...]:
    """Return the columns of a version's end: NULL each if it has none."""
    return version.end or (None,) * len(Mark._fields)
