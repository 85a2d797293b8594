"""Reads own categories from a table or view of the user's."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnClause, Connection, TableClause, column, false, inspect, select
from sqlalchemy import table as clause

from consumers.errors import MappingRejected
from consumers.mapping.csv_table import TextRow, TextTable
from consumers.mapping.own_categories import Columns
from consumers.sql.database import Database


async def read_table(database: Database, name: str, wanted: Columns) -> TextTable:
    """Return the columns `wanted` of the table or view `name` as text.

    The name may be `schema.name`. Raises MappingRejected if it does not exist, or if a value is
    neither text nor a number; StoreError if the database fails.
    """
    async with database.reading() as connection:
        table = await connection.run_sync(_find_table, name)
        no_rows = select("*").select_from(table).where(false())
        header = list((await connection.execute(no_rows)).keys())
        names = [each for each in wanted.names if each in header]
        rows = []
        if names:
            columns: list[ColumnClause[Any]] = [column(each) for each in names]
            found = await connection.execute(select(*columns).select_from(table))
            for number, row in enumerate(found, start=1):
                where = f"row {number}"
                texts = [_as_text(value, n, where) for n, value in zip(names, row, strict=True)]
                rows.append(TextRow(where, dict(zip(names, texts, strict=True))))
    return TextTable(name, header, rows)


def _find_table(connection: Connection, name: str) -> TableClause:
    known = inspect(connection)
    schema, _, last = name.rpartition(".")
    if known.has_table(name):
        return clause(name)
    if schema and known.has_table(last, schema=schema):
        return clause(last, schema=schema)
    raise MappingRejected("nothing was imported", [f"this database has no table or view {name!r}"])


def _as_text(value: Any, name: str, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, (str, int, Decimal, UUID)):
        kind = type(value).__name__
        problem = f"{where}: column {name!r} contains {kind}, which is not text"
        raise MappingRejected("nothing was imported", [problem])
    return str(value)
