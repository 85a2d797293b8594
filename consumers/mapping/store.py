"""Reading and writing the mappings of one catalog."""

from collections.abc import Collection, Iterable
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.mapping.model import Decision, Mapping, Mappings, Own, Status
from consumers.mapping.tables import mappings
from consumers.sql.rows import in_ids

OWN: Final = ("own_name", "own_path")
DECISION: Final = (
    "category_id",
    "category_name",
    "category_parent_id",
    "category_path",
    "decided_at",
)
STATUS: Final = ("state", "reason", "since", "since_event")
FIELDS: Final = [mappings.c[name] for name in ("own_key", *OWN, *DECISION, *STATUS)]


class MappingsTable:
    """The mappings of `catalog`."""

    def __init__(self, catalog: str) -> None:
        self._catalog = catalog
        self._is_ours = mappings.c.catalog == catalog

    async def read(self, connection: AsyncConnection) -> Mappings:
        """Return all mappings."""
        found = await connection.execute(select(*FIELDS).where(self._is_ours))
        every = sorted(map(_mapping, found))
        return {mapping.own.key: mapping for mapping in every}

    async def linked(
        self, connection: AsyncConnection, ids: Collection[str] | None = None
    ) -> list[Mapping]:
        """Return the mappings that are linked with the categories `ids`, or of None with any."""
        query = select(*FIELDS).where(self._is_ours, mappings.c.category_id.is_not(None))
        if ids is not None:
            query = query.where(in_ids(mappings.c.category_id, ids, connection.dialect))
        return [_mapping(row) for row in await connection.execute(query)]

    async def add(self, connection: AsyncConnection, new: Iterable[Mapping]) -> None:
        """Insert mappings whose keys are not there."""
        rows = [
            {"catalog": self._catalog, **_key(each), **_own(each), **_status(each)} for each in new
        ]
        if rows:
            await connection.execute(insert(mappings), rows)

    async def write_own(self, connection: AsyncConnection, changed: Iterable[Mapping]) -> None:
        """Write names and paths of own categories."""
        await self._update(connection, OWN, [_key(each, "k_") | _own(each) for each in changed])

    async def write_status(self, connection: AsyncConnection, changed: Iterable[Mapping]) -> None:
        """Write how mappings stand, and nothing that the user decided."""
        await self._update(
            connection, STATUS, [_key(each, "k_") | _status(each) for each in changed]
        )

    async def write_decisions(
        self, connection: AsyncConnection, changed: Collection[Mapping]
    ) -> None:
        """Write what the user decided, and how the mappings stand since.

        All are unlinked first, so that two of them may change places.
        """
        nothing = dict.fromkeys(DECISION)
        await self._update(connection, DECISION, [_key(each, "k_") | nothing for each in changed])
        rows = [_key(each, "k_") | _decision(each) | _status(each) for each in changed]
        await self._update(connection, DECISION + STATUS, rows)

    async def remove(self, connection: AsyncConnection, keys: list[str]) -> None:
        """Delete the mappings of `keys`."""
        some = mappings.c.own_key.in_(keys)
        await connection.execute(delete(mappings).where(self._is_ours, some))

    async def _update(
        self, connection: AsyncConnection, names: Iterable[str], rows: list[dict[str, Any]]
    ) -> None:
        if rows:
            statement = update(mappings).where(
                self._is_ours, mappings.c.own_key == bindparam("k_own_key")
            )
            new: dict[str, Any] = {name: bindparam(name) for name in names}
            await connection.execute(statement.values(new), rows)


def _mapping(row: Any) -> Mapping:
    decision = Decision(*row[3:8]) if row[3] is not None else None
    return Mapping(Own(*row[:3]), decision, Status(*row[8:]))


def _key(mapping: Mapping, prefix: str = "") -> dict[str, Any]:
    return {f"{prefix}own_key": mapping.own.key}


def _own(mapping: Mapping) -> dict[str, Any]:
    return dict(zip(OWN, (mapping.own.name, mapping.own.path), strict=True))


def _decision(mapping: Mapping) -> dict[str, Any]:
    return dict(zip(DECISION, mapping.decision or (None,) * len(DECISION), strict=True))


def _status(mapping: Mapping) -> dict[str, Any]:
    return dict(zip(STATUS, mapping.status, strict=True))
