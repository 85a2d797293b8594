"""The words of the contract as small frozen types (contract, 1 to 3). Pure."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

ROOT: Final = "0"
"""A root's `parent_id`; never an id."""
MAX_CATEGORIES: Final = 200_000
FIELDS: Final = ("id", "parent_id", "local_name", "is_leaf")


class Category(NamedTuple):
    """One node of the tree, as the source sent it."""

    id: str
    parent_id: str
    local_name: str
    is_leaf: bool


Tree: TypeAlias = Mapping[str, Category]
"""id → category: a state's or a snapshot's categories."""

ChangeType: TypeAlias = Literal["added", "updated", "removed"]


class Change(NamedTuple):
    """One category's difference between state and snapshot.

    `category` is the new one, or of a removal the last known one; `before` is set if and only if
    `type` is `updated`.
    """

    type: ChangeType
    category: Category
    before: Category | None = None

    @property
    def changed(self) -> list[str]:
        """The fields in which an updated category differs, in the order of the row."""
        if self.before is None:
            return []
        return [
            name
            for name, old, new in zip(FIELDS, self.before, self.category, strict=True)
            if old != new
        ]


class Counts(NamedTuple):
    """How many changes of each type."""

    added: int = 0
    updated: int = 0
    removed: int = 0


def count(changes: Iterable[Change]) -> Counts:
    """Count `changes` by type."""
    tally = {"added": 0, "updated": 0, "removed": 0}
    for change in changes:
        tally[change.type] += 1
    return Counts(**tally)


def depths(tree: Tree) -> dict[str, int]:
    """Return each id's depth in `tree`, from 1 for a root, parents before children.

    Ids that hang on no root (an orphan's, a cycle's) are not in the result.
    """
    children: dict[str, list[str]] = {}
    for category in tree.values():
        children.setdefault(category.parent_id, []).append(category.id)
    found: dict[str, int] = {}
    level, depth = children.get(ROOT, []), 1
    while level:
        found.update(dict.fromkeys(level, depth))
        level = [child for parent in level for child in children.get(parent, ())]
        depth += 1
    return found
