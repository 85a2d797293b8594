"""Reads and writes the rows of one catalog in a table like `categories`."""

import functools
from collections.abc import Collection, Sequence

import orjson
from sqlalchemy import Column, ColumnElement, Dialect, Table, Text, any_, func, literal, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Category, Event, Rows


class RowsTable:
    """The rows of `catalog` in `table`, which has the columns of `tables.rows_table`."""

    def __init__(self, table: Table, catalog: str) -> None:
        self._table = table
        self._catalog = catalog
        self._fields = [table.c[name] for name in Category._fields]
        self._delete = table.delete().where(table.c.catalog == catalog)

    async def read(self, connection: AsyncConnection, ids: Collection[str] | None = None) -> Rows:
        """Return the rows of those `ids` that exist, or all rows of the catalog if None."""
        query = select(*self._fields).where(self._table.c.catalog == self._catalog)
        if ids is not None:
            query = query.where(in_ids(self._table.c.id, ids, connection.dialect))
        return {row[0]: Category(*row) for row in await connection.execute(query)}

    async def write(self, connection: AsyncConnection, rows: Collection[Category]) -> None:
        """Insert `rows`, or update those whose ids exist.

        They are written in the order of the key, so that an index grows at its end: 100,000 rows
        into empty tables of SQLite take 1.0 s so, 1.5 s in the order of a Redis hash. The driver
        gets plain tuples, because SQLAlchemy's parameters would double the time.
        """
        if rows:
            values = [(self._catalog, *row) for row in sorted(rows)]
            await connection.exec_driver_sql(upsert(self._table, connection.dialect), values)

    async def remove(self, connection: AsyncConnection, ids: Collection[str]) -> None:
        """Delete the rows of `ids`."""
        if ids:
            condition = in_ids(self._table.c.id, ids, connection.dialect)
            await connection.execute(self._delete.where(condition))

    async def clear(self, connection: AsyncConnection) -> None:
        """Delete all rows of the catalog."""
        await connection.execute(self._delete)

    async def apply_events(self, connection: AsyncConnection, events: Sequence[Event]) -> None:
        """Write and delete the rows of `events`; of one category the last event counts."""
        last = {event.category.id: event for event in events}.values()
        await self.remove(connection, [e.category.id for e in last if e.type == "removed"])
        await self.write(connection, [e.category for e in last if e.type != "removed"])


@functools.lru_cache(maxsize=8)
def upsert(table: Table, dialect: Dialect) -> str:
    """Return the statement that inserts a row of `table`, or updates it.

    Its positional parameters are all columns of the table, in their order.
    """
    changing = [column.name for column in table.columns if not column.primary_key]
    if dialect.name == "mysql":
        new = mysql.insert(table)
        statement = new.on_duplicate_key_update({name: new.inserted[name] for name in changing})
    else:
        into = (postgresql if dialect.name == "postgresql" else sqlite).insert(table)
        statement = into.on_conflict_do_update(
            index_elements=table.primary_key, set_={name: into.excluded[name] for name in changing}
        )
    return str(statement.compile(dialect=dialect, column_keys=table.columns.keys()))


def in_ids(column: Column[str], ids: Collection[str], dialect: Dialect) -> ColumnElement[bool]:
    """Return the condition that `column` is one of `ids`, which may be many.

    They are one parameter where the database can split it. SQLAlchemy's `in_` writes one
    parameter for each: 5,000 ids in SQLite took 190 ms so, and take 80 this way.
    """
    match dialect.name:
        case "sqlite":
            text = orjson.dumps(list(ids)).decode()
            return column.in_(select(func.json_each(text).table_valued("value").c.value))
        case "postgresql":
            return column == any_(literal(list(ids), postgresql.ARRAY(Text)))
        case _:
            return column.in_(ids)
