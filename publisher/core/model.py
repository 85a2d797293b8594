"""The terms of the contract as small frozen types (contract, 1 to 3)."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, TypeAlias

import msgspec
import orjson
from msgspec import Meta, Struct

ROOT: Final = "0"
"""A root's `parent_id`; never an id."""
MAX_CATEGORIES: Final = 200_000
FIELDS: Final = ("id", "parent_id", "local_name", "is_leaf")

Text: TypeAlias = Annotated[str, Meta(min_length=1)]


class Category(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One node of the tree, as the source sent it.

    A msgspec struct: 100,000 of them are decoded in 0.06 s with their types checked, where parsing
    them into dicts alone takes 0.3 s; and the garbage collector does not have to visit them.
    """

    id: Text
    parent_id: Text
    local_name: Text
    is_leaf: bool

    def fields(self) -> dict[str, Any]:
        """Return the fields by name, in the contract's order."""
        return msgspec.structs.asdict(self)


Tree: TypeAlias = Mapping[str, Category]
"""id → category: a state's or a snapshot's categories."""

ChangeType: TypeAlias = Literal["added", "updated", "removed"]


class Change(Struct, frozen=True, gc=False):
    """One category's difference between state and snapshot.

    `category` is the new one, or the last known one of a removal; `before` is set if and only if
    `type` is `updated`.
    """

    type: ChangeType
    category: Category
    before: Category | None = None

    @property
    def changed(self) -> list[str]:
        """The names of the fields that an update changed, in the contract's order."""
        if self.before is None:
            return []
        return [
            name for name in FIELDS if getattr(self.before, name) != getattr(self.category, name)
        ]


class Counts(NamedTuple):
    """The number of changes of each type."""

    added: int = 0
    updated: int = 0
    removed: int = 0


@dataclass(frozen=True)
class Origin:
    """What a catalog is published from; its change must be accepted (contract, 5.11)."""

    source: str
    locale: str | None = None
    category_version: str | None = None
    listing_platform: str | None = None
    include_prohibited_categories: bool | None = None

    def to_json(self) -> str:
        """Return the origin as it is stored in meta."""
        return orjson.dumps(self).decode()


@dataclass(frozen=True)
class Hold:
    """A snapshot that is held (contract, 2 and 6).

    It is held until an approval or a plausible snapshot. A stored hold that cannot be read is
    still a hold: its unreadable fields are empty.
    """

    digest: str = ""
    """The digest of the held snapshot, 16 hex digits."""
    since: str = ""
    """When this snapshot was held first, RFC 3339."""
    reasons: tuple[str, ...] = ()
    added: int = 0
    updated: int = 0
    removed: int = 0
    first: tuple[dict[str, Any], ...] = ()
    """Some of its changes: each with its event `type` and the event's `data` without the digest."""

    @classmethod
    def from_json(cls, value: bytes | str) -> Self:
        """Return the hold that `value` holds, with each field that can be read."""
        found = parse_object(value) or {}
        readable = {}
        for field in fields(cls):
            with suppress(KeyError, msgspec.ValidationError):
                readable[field.name] = msgspec.convert(found[field.name], field.type)
        return cls(**readable)

    def to_json(self) -> bytes:
        """Return the hold as it is stored in Redis."""
        return orjson.dumps(self)


def parse_object(value: bytes | str | None) -> dict[str, Any] | None:
    """Return the JSON object in `value`; None if it holds none."""
    try:
        found = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def count(changes: Iterable[Change]) -> Counts:
    """Count `changes` by type."""
    return Counts(**Counter[str](change.type for change in changes))


def depths(tree: Tree) -> dict[str, int]:
    """Return each id's depth in `tree`, from 1 for a root, parents before children.

    Ids below no root (orphans, cycles) are not in the result.
    """
    if found := _depths_top_down(tree):
        return found
    children: dict[str, list[str]] = {}
    for category in tree.values():
        children.setdefault(category.parent_id, []).append(category.id)
    level, depth = children.get(ROOT, []), 1
    while level:
        found.update(dict.fromkeys(level, depth))
        level = [child for parent in level for child in children.get(parent, ())]
        depth += 1
    return found


def depths_of(categories: Collection[Category], tree: Tree) -> dict[str, int]:
    """Return the depths of `categories` in `tree`, and perhaps of some others.

    ROOT may be among them, with depth 0. 1,000 of 100,000 take 4 ms. For more than half of them it
    is faster to compute all depths in one pass, which is possible if parents come before children.
    """
    if len(categories) > len(tree) // 2 and (of_all := _depths_top_down(tree)):
        return of_all
    found = {ROOT: 0}
    for category in categories:
        path = [category]
        while path:
            each = path[-1]
            if each.parent_id in found:
                found[each.id] = found[each.parent_id] + 1
                path.pop()
            elif each.parent_id in tree and len(path) <= len(tree):
                path.append(tree[each.parent_id])
            else:  # an orphan, or a cycle
                return depths(tree)
    return found


def _depths_top_down(tree: Tree) -> dict[str, int]:
    """Return all depths if parents come before children; else an empty dict.

    TikTok Shop sends them so (TikTok Shop API, Get Categories). A state has the order of its Redis
    hash, which is any.
    """
    found = {ROOT: 0}
    try:
        for category in tree.values():
            found[category.id] = found[category.parent_id] + 1
    except KeyError:
        return {}
    del found[ROOT]
    return found
