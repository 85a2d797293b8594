"""The tables of the history (contract, 8), described in docs/history.md."""

from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table

from consumers.contract.model import Category
from consumers.sql.tables import ID, NAME, ExactText, metadata

TIME: Final = 24
"""Characters of a time (contract, 2)."""
POSITION: Final = 46
"""Maximum characters of an event's id: epoch, sequence and digest (contract, 3)."""

category_history: Final = Table(
    "category_history",
    metadata,
    Column("catalog", ExactText(NAME), primary_key=True),
    Column("id", ExactText(ID), primary_key=True),
    Column("parent_id", ExactText(ID), nullable=False),
    Column("local_name", ExactText(), nullable=False),
    Column("is_leaf", Boolean, nullable=False),
    Column("valid_from", ExactText(TIME), nullable=False),
    Column("valid_from_event", ExactText(POSITION)),
    Column("valid_from_resync", BigInteger, primary_key=True),
    Column("valid_from_sequence", BigInteger, primary_key=True),
    Column("valid_to", ExactText(TIME)),
    Column("valid_to_event", ExactText(POSITION)),
    Column("valid_to_resync", BigInteger),
    Column("valid_to_sequence", BigInteger),
)
"""Its columns are the fields of a Version, in their order.

No category has two versions that begin at the same position, so the position is part of the key:
versions of one category are stored side by side, in order, and writing one twice stores it once.
"""

CATEGORY: Final = tuple(category_history.c[name] for name in Category._fields)
"""The columns of a Category, in the order of its fields."""


class PositionColumns(NamedTuple):
    """The columns of a RecordPosition, in the order of its fields."""

    at: Column[str]
    event: Column[str]
    resync: Column[int]
    sequence: Column[int]


def _position_columns(end: str) -> PositionColumns:
    names = (end, f"{end}_event", f"{end}_resync", f"{end}_sequence")
    return PositionColumns(*(category_history.c[name] for name in names))


BEGIN: Final = _position_columns("valid_from")
END: Final = _position_columns("valid_to")

_CATALOG = category_history.c.catalog
Index("category_history_by_end", _CATALOG, END.at, category_history.c.id)  # NULL: the valid ones
Index("category_history_by_first_place", _CATALOG, BEGIN.resync, BEGIN.sequence)
Index("category_history_by_last_place", _CATALOG, END.resync, END.sequence)

history_resyncs: Final = Table(
    "history_resyncs",
    metadata,
    Column("catalog", ExactText(NAME), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("resynced_at", ExactText(TIME), nullable=False),
    Column("from_position", ExactText(POSITION)),
    Column("to_position", ExactText(POSITION), nullable=False),
    Column("added", Integer, nullable=False),
    Column("updated", Integer, nullable=False),
    Column("removed", Integer, nullable=False),
    Column("epoch", ExactText(8), nullable=False),
    Column("first_sequence", BigInteger, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("last_position", ExactText(POSITION), nullable=False),
    Column("last_at", ExactText(TIME), nullable=False),
)
"""A row is a resync, with the last event recorded after it; columns are the fields of a Resync."""
