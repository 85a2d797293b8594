"""Reads and writes the mappings of one catalog."""

from collections.abc import Collection, Iterable
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.mapping.model import CategoryMapping, LinkedCategory, Mappings, OwnCategory, Status
from consumers.mapping.tables import mappings
from consumers.sql.rows import in_ids

FIELDS: Final = list(mappings.c)[1:]
NAMES: Final = [column.name for column in FIELDS]
OWN, LINKED, STATUS, LINKED_AND_STATUS = slice(1, 3), slice(3, 8), slice(8, 12), slice(3, 12)
"""Where in FIELDS the columns of an OwnCategory without its key, a LinkedCategory, … are."""
NO_LINK: Final = (None,) * len(LinkedCategory._fields)


class MappingStore:
    """The mappings of `catalog` in the table `mappings`."""

    def __init__(self, catalog: str) -> None:
        self._catalog = catalog
        self._catalog_condition = mappings.c.catalog == catalog

    async def read_all(self, connection: AsyncConnection) -> Mappings:
        """Return all mappings by key."""
        rows = await connection.execute(select(*FIELDS).where(self._catalog_condition))
        return {mapping.own.key: mapping for mapping in sorted(map(_mapping, rows))}

    async def read_linked(
        self, connection: AsyncConnection, ids: Collection[str] | None = None
    ) -> list[CategoryMapping]:
        """Return the mappings linked with the categories `ids`, or with any if None."""
        query = select(*FIELDS).where(self._catalog_condition, mappings.c.category_id.is_not(None))
        if ids is not None:
            query = query.where(in_ids(mappings.c.category_id, ids, connection.dialect))
        return [_mapping(row) for row in await connection.execute(query)]

    async def add(self, connection: AsyncConnection, new: Iterable[CategoryMapping]) -> None:
        """Insert mappings without a link, whose keys are not stored yet."""
        names = ["catalog", "own_key", *NAMES[OWN], *NAMES[STATUS]]
        values = [(self._catalog, *each.own, *each.status) for each in new]
        rows = [dict(zip(names, row, strict=True)) for row in values]
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
        keys = [each.own.key for each in changed]
        condition = in_ids(mappings.c.own_key, keys, connection.dialect)
        unlink = update(mappings).where(self._catalog_condition, condition)
        await connection.execute(unlink.values(dict.fromkeys(NAMES[LINKED])))
        await self._update(connection, LINKED_AND_STATUS, changed)

    async def remove(self, connection: AsyncConnection, keys: list[str]) -> None:
        """Delete the mappings of `keys`."""
        condition = mappings.c.own_key.in_(keys)
        await connection.execute(delete(mappings).where(self._catalog_condition, condition))

    async def _update(
        self, connection: AsyncConnection, fields: slice, changed: Iterable[CategoryMapping]
    ) -> None:
        """Update some of FIELDS of `changed`.

        The parameter of the key is no column's name.
        """
        names = NAMES[fields]
        rows = []
        for own, linked, status in changed:
            values = (*own, *(linked or NO_LINK), *status)
            # the key's parameter must not be named like a column
            rows.append({"k_own_key": own.key, **dict(zip(names, values[fields], strict=True))})
        if rows:
            condition = mappings.c.own_key == bindparam("k_own_key")
            parameters: dict[str, Any] = {name: bindparam(name) for name in names}
            statement = (
                update(mappings).where(self._catalog_condition, condition).values(parameters)
            )
            await connection.execute(statement, rows)


def _mapping(row: Any) -> CategoryMapping:
    linked = LinkedCategory(*row[LINKED]) if row[LINKED.start] is not None else None
    return CategoryMapping(OwnCategory(*row[: OWN.stop]), linked, Status(*row[STATUS]))
