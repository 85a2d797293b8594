"""The tables of the mappings; docs/mapping.md says what is in `mappings` (contract, 8)."""

from typing import Final

from sqlalchemy import Column, Table, UniqueConstraint

from consumers.mapping.model import KEY
from consumers.sql.tables import ID, NAME, metadata, rows_table
from consumers.sql.types import Exact

map_categories: Final = rows_table("map_categories")
"""The tree that the mappings' states are about: the map's own copy, beside that of any mirror."""

mappings: Final = Table(
    "mappings",
    metadata,
    Column("catalog", Exact(NAME), primary_key=True),
    Column("own_key", Exact(KEY), primary_key=True),
    Column("own_name", Exact(), nullable=False),
    Column("own_path", Exact(), nullable=False),
    Column("category_id", Exact(ID)),
    Column("category_name", Exact()),
    Column("category_parent_id", Exact(ID)),
    Column("category_path", Exact()),
    Column("decided_at", Exact(24)),
    Column("state", Exact(8), nullable=False),
    Column("reason", Exact(), nullable=False),
    Column("since", Exact(24), nullable=False),
    Column("since_event", Exact(63)),
    UniqueConstraint("catalog", "category_id", name="mappings_one_to_one"),
)
"""Its columns behind the catalog are a Mapping's fields, in their order."""
