"""The tables of the mappings (contract, 8), described in docs/mapping.md."""

from typing import Final

from sqlalchemy import Column, Table, UniqueConstraint

from consumers.mapping.model import MAX_KEY_LENGTH
from consumers.sql.tables import ID, NAME, ExactText, metadata, rows_table

map_categories: Final = rows_table("map_categories")
"""The tree that the states refer to: a copy of its own, independent of any mirror."""

mappings: Final = Table(
    "mappings",
    metadata,
    Column("catalog", ExactText(NAME), primary_key=True),
    Column("own_key", ExactText(MAX_KEY_LENGTH), primary_key=True),
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
"""Its columns after `catalog` are the fields of a CategoryMapping, in their order."""
