"""A tree of categories: paths, leaves, and the leaves below a category. Pure."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from consumers.contract.event import ROOT
from consumers.contract.model import Category, Rows

SEPARATOR: Final = " > "
"""Joins the names of a path, as in the view `category_paths` (contract, 8)."""


class Tree:
    """The tree of `rows`, which are a forest (contract, 5.5)."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._paths: dict[str, str] = {}
        self._children: dict[str, list[Category]] = defaultdict(list)
        for row in rows.values():
            self._children[row.parent_id].append(row)

    def path(self, id_: str) -> str:
        """Return the names from the root down to the category `id_`, which must exist."""
        missing = []
        while id_ not in self._paths and id_ != ROOT:
            missing.append(self.rows[id_])
            id_ = self.rows[id_].parent_id
        path = self._paths.get(id_, "")
        for row in reversed(missing):
            path = path + SEPARATOR + row.local_name if path else row.local_name
            self._paths[row.id] = path
        return path

    def leaves(self) -> Iterator[Category]:
        """Yield all leaves."""
        return (row for row in self.rows.values() if row.is_leaf)

    def leaves_below(self, id_: str) -> Iterator[Category]:
        """Yield the leaves below the category `id_`, the nearest first."""
        level = self._children.get(id_, [])
        while level:
            yield from (row for row in level if row.is_leaf)
            level = [child for row in level for child in self._children.get(row.id, [])]
