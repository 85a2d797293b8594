"""The tables of mirrors and checkpoints, and views on them (contract, 8).

There are no foreign keys: within a transaction a child may be written before its parent. That the
result is a forest is guaranteed by the publisher (contract, 5.5).
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    literal,
    select,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.sql.ddl import CreateView
from sqlalchemy.types import TypeDecorator, TypeEngine

metadata: Final = MetaData()

NAME: Final = 63
"""The most characters of a catalog's name (contract, 1)."""
ID: Final = 255
"""The most characters of an id in MySQL; ids of TikTok Shop have at most 19 digits."""


class ExactText(TypeDecorator[str]):
    """Text that is compared byte by byte, trailing blanks included, in every database.

    `length`, in characters, matters only to MySQL, which indexes no text longer than 3 kB.
    """

    impl = Text
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__()
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Name a collation where text would be compared without case, or without blanks."""
        if dialect.name != "mysql":
            return dialect.type_descriptor(Text())
        collation = "utf8mb4_nopad_bin" if dialect.is_mariadb else "utf8mb4_0900_bin"  # type: ignore[attr-defined]
        if self.length:
            return mysql.VARCHAR(self.length, charset="utf8mb4", collation=collation)
        return mysql.MEDIUMTEXT(charset="utf8mb4", collation=collation)


def rows_table(name: str) -> Table:
    """Return a new table for rows of catalogs, with the columns of `categories`."""
    table = Table(
        name,
        metadata,
        Column("catalog", ExactText(NAME), primary_key=True),
        Column("id", ExactText(ID), primary_key=True),
        Column("parent_id", ExactText(ID), nullable=False),
        Column("local_name", ExactText(), nullable=False),
        Column("is_leaf", Boolean, nullable=False),
    )
    # Without this index SQLite reads the whole table once for each row of category_paths.
    Index(f"{name}_by_parent", table.c.catalog, table.c.parent_id)
    return table


categories: Final = rows_table("categories")
Index(
    "categories_by_name",
    categories.c.local_name,
    mysql_length={"local_name": 191},
    postgresql_using="spgist",  # a B-tree would refuse a name of more than 2.6 kB
)

checkpoints: Final = Table(
    "checkpoints",
    metadata,
    Column("projection", ExactText(63), primary_key=True),
    Column("catalog", ExactText(NAME), primary_key=True),
    Column("epoch", ExactText(8), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("stream_offset", ExactText(63), nullable=False),
    Column("digest", ExactText(16), nullable=False),
    Column("updated_at", ExactText(24), nullable=False),  # RFC 3339
)


def _paths() -> Select[Any]:
    root, child = categories.c, categories.alias("child").c
    path = (
        select(root.catalog, root.id, literal(1).label("depth"), root.local_name.label("path"))
        .where(root.parent_id == "0")
        .cte("paths", recursive=True)
    )
    below = select(
        child.catalog, child.id, path.c.depth + 1, path.c.path + " > " + child.local_name
    ).join(path, and_(child.catalog == path.c.catalog, child.parent_id == path.c.id))
    return select(path.union_all(below))


category_paths: Final = CreateView(_paths(), "category_paths", metadata=metadata).table
"""`catalog`, `id`, `depth` from 1, `path` joined with ` > `."""


def _breadcrumbs() -> Select[Any]:
    """Return the query that joins each category with its ancestors, up to the root."""
    own, parent, ancestor = categories.c, categories.alias("parent"), categories.alias("ancestor")
    upwards = select(
        own.catalog, own.id, own.id.label("ancestor_id"), own.parent_id.label("next_id")
    ).cte("upwards", recursive=True)
    is_parent = and_(parent.c.catalog == upwards.c.catalog, parent.c.id == upwards.c.next_id)
    above = select(upwards.c.catalog, upwards.c.id, parent.c.id, parent.c.parent_id)
    upwards = upwards.union_all(above.join(parent, is_parent))
    path, (catalog, id_, ancestor_id, _) = category_paths, upwards.c
    ancestor_name = ancestor.c.local_name.label("ancestor_name")
    return (
        select(catalog, id_, path.c.depth, ancestor_id, ancestor_name)
        .join(ancestor, and_(ancestor.c.catalog == catalog, ancestor.c.id == ancestor_id))
        .join(path, and_(path.c.catalog == catalog, path.c.id == ancestor_id))
    )


category_breadcrumbs: Final = CreateView(
    _breadcrumbs(), "category_breadcrumbs", metadata=metadata
).table
"""For each category one row for each of its ancestors, from the root (`depth` 1) to itself:
`catalog`, `id`, `depth`, `ancestor_id`, `ancestor_name`."""
