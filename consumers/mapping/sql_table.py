"""Reading a table or view of the user's that has their own categories."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnClause,
    Connection,
    TableClause,
    column,
    false,
    inspect,
    literal_column,
    select,
)
from sqlalchemy import table as clause
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.errors import MapRefused
from consumers.mapping.csv_table import Row, Sheet
from consumers.mapping.own_categories import Columns
from consumers.sql.database import Database


async def read_table(database: Database, name: str, wanted: Columns) -> Sheet:
    """Return what stands in the columns `wanted` of the table or view `name` (or `schema.name`).

    Numbers become text. Raises MapRefused if it is not there, and StoreError.
    """
    async with database.reading() as connection:
        table = await connection.run_sync(_found, name)
        everything: ColumnClause[Any] = literal_column("*")
        nothing = select(everything).select_from(table).where(false())
        header = list((await connection.execute(nothing)).keys())
        rows = await _rows(connection, table, [name for name in wanted.names if name in header])
    return Sheet(name, header, rows)


def _found(connection: Connection, name: str) -> TableClause:
    known = inspect(connection)
    schema, _, last = name.rpartition(".")
    if known.has_table(name):
        return clause(name)
    if schema and known.has_table(last, schema=schema):
        return clause(last, schema=schema)
    raise MapRefused("nothing was imported", [f"this database has no table or view {name!r}"])


async def _rows(connection: AsyncConnection, table: TableClause, names: list[str]) -> list[Row]:
    if not names:
        return []
    columns: list[ColumnClause[Any]] = [column(name) for name in names]
    found = await connection.execute(select(*columns).select_from(table))
    return [
        Row(f"row {number}", _cells(zip(names, row, strict=True), f"row {number}"))
        for number, row in enumerate(found, start=1)
    ]


def _cells(pairs: Iterable[tuple[str, Any]], place: str) -> dict[str, str]:
    return {name: _text(value, name, place) for name, value in pairs}


def _text(value: Any, name: str, place: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, (str, int, Decimal, UUID)):
        told = f"{place}: column {name!r} holds {type(value).__name__}, which is no text"
        raise MapRefused("nothing was imported", [told])
    return str(value)
