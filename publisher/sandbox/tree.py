"""A category tree as the sandbox serves it: rows, and the order that TikTok puts them in. Pure.

A tree need not be a valid one: the publisher can be shown doubles, orphans and cycles too.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

ROOT: Final = "0"
"""A root's `parent_id` (TikTok Shop API, Get Categories)."""


class Row(NamedTuple):
    """One category."""

    id: str
    parent_id: str
    local_name: str
    is_leaf: bool


Tree: TypeAlias = Sequence[Row]


def children_of(tree: Tree) -> dict[str, list[Row]]:
    """Return the rows by their `parent_id`, in their order."""
    children: dict[str, list[Row]] = {}
    for row in tree:
        children.setdefault(row.parent_id, []).append(row)
    return children


def breadth_first(tree: Tree) -> list[Row]:
    """Return the rows level by level, ids ascending within one, and then what hangs on no root."""
    children = children_of(tree)
    ordered: list[Row] = []
    level = children.pop(ROOT, [])
    while level:
        level.sort(key=_ascending)
        ordered += level
        level = [child for row in level for child in children.pop(row.id, ())]
    ordered += [row for rows in children.values() for row in rows]
    return ordered


def _ascending(row: Row) -> tuple[int, str]:
    return len(row.id), row.id  # for decimal ids the order of the numbers
