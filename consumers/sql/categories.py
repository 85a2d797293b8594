"""Reading and writing the rows of one catalog in the table `categories`."""

import functools
from collections.abc import Collection
from typing import Final

from sqlalchemy import Delete, Dialect, Insert, delete, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.model import Category, Snapshot
from consumers.sql.tables import categories

FIELDS: Final = (
    categories.c.id,
    categories.c.parent_id,
    categories.c.local_name,
    categories.c.is_leaf,
)
"""A Category's fields, in its order."""


async def read(
    connection: AsyncConnection, catalog: str, ids: Collection[str] | None = None
) -> Snapshot:
    """Return the rows of `ids` that are there; of None all of the catalog's."""
    query = select(*FIELDS).where(categories.c.catalog == catalog)
    if ids is not None:
        query = query.where(categories.c.id.in_(ids))
    return {row[0]: Category(*row) for row in await connection.execute(query)}


async def write(connection: AsyncConnection, catalog: str, rows: Collection[Category]) -> None:
    """Insert `rows`, or where their ids are there put them in their place.

    The driver gets the tuples as they are: taking 100,000 of them through SQLAlchemy's own
    parameters costs as much again as writing them does.
    """
    if rows:
        values = [(catalog, *row) for row in rows]
        await connection.exec_driver_sql(_upsert(connection.dialect), values)


async def remove(connection: AsyncConnection, catalog: str, ids: Collection[str]) -> None:
    """Delete the rows of `ids`."""
    if ids:
        await connection.execute(_delete(catalog).where(categories.c.id.in_(ids)))


async def clear(connection: AsyncConnection, catalog: str) -> None:
    """Delete all rows of `catalog`."""
    await connection.execute(_delete(catalog))


def _delete(catalog: str) -> Delete:
    return delete(categories).where(categories.c.catalog == catalog)


@functools.lru_cache(maxsize=4)
def _upsert(dialect: Dialect) -> str:
    """Return the statement that wants a row as (catalog, *Category), positional parameters."""
    names = [column.name for column in FIELDS]
    statement: Insert
    if dialect.name == "mysql":
        new = mysql.insert(categories)
        changing = {name: new.inserted[name] for name in names[1:]}
        statement = new.on_duplicate_key_update(changing)
    else:
        into = (postgresql if dialect.name == "postgresql" else sqlite).insert(categories)
        changing = {name: into.excluded[name] for name in names[1:]}
        statement = into.on_conflict_do_update(index_elements=["catalog", "id"], set_=changing)
    return str(statement.compile(dialect=dialect, column_keys=["catalog", *names]))
