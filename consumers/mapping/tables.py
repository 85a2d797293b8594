"""The tables of the mappings; docs/mapping.md says what is in `mappings` (contract, 8)."""

from typing import Final

from sqlalchemy import Column, Table, UniqueConstraint

from consumers.mapping.model import KEY
from consumers.sql.tables import ID, NAME, ExactText, metadata, rows_table

map_categories: Final = rows_table("map_categories")
"""The tree that the mappings' states are about: the map's own copy, beside that of any mirror."""

mappings: Final = Table(
    "mappings",
    metadata,
    Column("catalog", ExactText(NAME), primary_key=True),
    Column("own_key", ExactText(KEY), primary_key=True),
    Column("own_name", ExactText(), nullable=False),
    Column("own_path", ExactText(), nullable=False),
    Column("category_id", ExactText(ID)),
    Column("category_name", ExactText()),
    Column("category_parent_id", ExactText(ID)),
    Column("category_path", ExactText()),
    Column("decided_at", ExactText(24)),
    Column("state", ExactText(8), nullable=False),
    Column("reason", ExactText(), nullable=False),
    Column("since", ExactText(24), nullable=False),
    Column("since_event", ExactText(63)),
    UniqueConstraint("catalog", "category_id", name="mappings_one_to_one"),
)
"""Its columns behind the catalog are a Mapping's fields, in their order."""
