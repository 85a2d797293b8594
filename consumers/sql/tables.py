"""The tables and the view of the SQL projections (contract, 8).

No foreign keys: within one transaction a child may well come before its parent, and that the
whole is a forest is the publisher's promise (contract, 5.5).
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    MetaData,
    Select,
    String,
    Table,
    Text,
    and_,
    literal,
    select,
)
from sqlalchemy.sql.ddl import CreateView

metadata: Final = MetaData()

categories: Final = Table(
    "categories",
    metadata,
    Column("catalog", String(63), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("parent_id", String(255), nullable=False),
    Column("local_name", Text, nullable=False),
    Column("is_leaf", Boolean, nullable=False),
)
# Without it SQLite reads the whole table once for each row of category_paths.
Index("categories_by_parent", categories.c.catalog, categories.c.parent_id)

checkpoints: Final = Table(
    "checkpoints",
    metadata,
    Column("projection", String(63), primary_key=True),
    Column("catalog", String(63), primary_key=True),
    Column("epoch", String(8), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("stream_offset", String(63), nullable=False),
    Column("digest", String(16), nullable=False),
    Column("updated_at", String(24), nullable=False),  # RFC 3339
)


def _paths() -> Select[tuple[str, str, int, str]]:
    root, child = categories, categories.alias("child")
    path = (
        select(
            root.c.catalog,
            root.c.id,
            literal(1).label("depth"),
            root.c.local_name.label("path"),
        )
        .where(root.c.parent_id == "0")
        .cte("paths", recursive=True)
    )
    below = select(
        child.c.catalog, child.c.id, path.c.depth + 1, path.c.path + " > " + child.c.local_name
    ).join(path, and_(child.c.catalog == path.c.catalog, child.c.parent_id == path.c.id))
    path = path.union_all(below)
    return select(path.c.catalog, path.c.id, path.c.depth, path.c.path)


category_paths: Final = CreateView(_paths(), "category_paths", metadata=metadata).table
"""`catalog`, `id`, `depth` from 1, `path` joined with ` > `."""
