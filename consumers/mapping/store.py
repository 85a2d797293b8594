"""Reads and writes the mappings of one catalog."""

from collections.abc import Collection, Iterable
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.mapping.model import CategoryMapping, LinkedCategory, Mappings, OwnCategory, Status
from consumers.mapping.tables import mappings
from consumers.sql.rows import in_ids

FIELDS: Final = list(mappings.c)[1:]
OWN: Final = ("own_name", "own_path")
STATUS: Final = Status._fields
LINKED: Final = [column.name for column in FIELDS[3:8]]
"""The columns of a LinkedCategory, in the order of its fields."""


class MappingStore:
    """The mappings of `catalog` in the table `mappings`."""

    def __init__(self, catalog: str) -> None:
        self._catalog = catalog
        self._is_ours = mappings.c.catalog == catalog

    async def read_all(self, connection: AsyncConnection) -> Mappings:
        """Return all mappings by key."""
        rows = await connection.execute(select(*FIELDS).where(self._is_ours))
        return {mapping.own.key: mapping for mapping in sorted(map(_mapping, rows))}

    async def read_linked(
        self, connection: AsyncConnection, ids: Collection[str] | None = None
    ) -> list[CategoryMapping]:
        """Return the mappings linked with the categories `ids`, or with any if None."""
        query = select(*FIELDS).where(self._is_ours, mappings.c.category_id.is_not(None))
        if ids is not None:
            query = query.where(in_ids(mappings.c.category_id, ids, connection.dialect))
        return [_mapping(row) for row in await connection.execute(query)]

    async def add(self, connection: AsyncConnection, new: Iterable[CategoryMapping]) -> None:
        """Insert mappings without a link, whose keys are not stored yet."""
        rows = [{"catalog": self._catalog, **_row(each)} for each in new]
        if rows:
            await connection.execute(insert(mappings), rows)

    async def write_own(
        self, connection: AsyncConnection, changed: Iterable[CategoryMapping]
    ) -> None:
        """Write names and paths of own categories."""
        await self._update(connection, OWN, changed)

    async def write_status(
        self, connection: AsyncConnection, changed: Iterable[CategoryMapping]
    ) -> None:
        """Write the status of mappings, and nothing that the user decided."""
        await self._update(connection, STATUS, changed)

    async def write_links(
        self, connection: AsyncConnection, changed: Collection[CategoryMapping]
    ) -> None:
        """Write links and status of mappings.

        All are unlinked first: else two that exchange their categories would break the unique key.
        """
        unlinked = [each._replace(linked=None) for each in changed]
        await self._update(connection, LINKED, unlinked)
        await self._update(connection, [*LINKED, *STATUS], changed)

    async def remove(self, connection: AsyncConnection, keys: list[str]) -> None:
        """Delete the mappings of `keys`."""
        is_one = mappings.c.own_key.in_(keys)
        await connection.execute(delete(mappings).where(self._is_ours, is_one))

    async def _update(
        self, connection: AsyncConnection, names: Iterable[str], changed: Iterable[CategoryMapping]
    ) -> None:
        """Update the columns `names` of `changed`. The parameter of the key is no column's name."""
        rows = [
            {"k_own_key": row["own_key"], **{name: row[name] for name in names}}
            for row in map(_row, changed)
        ]
        if rows:
            is_it = mappings.c.own_key == bindparam("k_own_key")
            await connection.execute(update(mappings).where(self._is_ours, is_it), rows)


def _mapping(row: Any) -> CategoryMapping:
    linked = LinkedCategory(*row[3:8]) if row[3] is not None else None
    return CategoryMapping(OwnCategory(*row[:3]), linked, Status(*row[8:]))


def _row(mapping: CategoryMapping) -> dict[str, Any]:
    """Return the values of FIELDS by name."""
    own, linked, status = mapping
    values = (*own, *(linked or [None] * len(LINKED)), *status)
    return {column.name: value for column, value in zip(FIELDS, values, strict=True)}
