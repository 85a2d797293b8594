"""The words of the contract as small frozen types (contract, 1 to 3). Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
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

    A struct of msgspec's, which decodes 100,000 of them in 0.06 s with their types checked, where
    parsing alone takes 0.3 s and more into dicts; and the garbage collector need not look at them.
    """

    id: Text
    parent_id: Text
    local_name: Text
    is_leaf: bool

    def fields(self) -> dict[str, Any]:
        """Return the row as the contract has it, keys in its order."""
        return msgspec.structs.asdict(self)


Tree: TypeAlias = Mapping[str, Category]
"""id → category: a state's or a snapshot's categories."""

ChangeType: TypeAlias = Literal["added", "updated", "removed"]


class Change(Struct, frozen=True, gc=False):
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
            name for name in FIELDS if getattr(self.before, name) != getattr(self.category, name)
        ]


class Counts(NamedTuple):
    """How many changes of each type."""

    added: int = 0
    updated: int = 0
    removed: int = 0


@dataclass(frozen=True)
class Origin:
    """What a catalog is published from; another one is another catalog (contract, 2 and 5.11)."""

    source: str
    locale: str | None = None
    category_version: str | None = None
    listing_platform: str | None = None
    include_prohibited_categories: bool | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)
    """Fields of a stored origin that this version does not know: they make it another origin."""

    @classmethod
    def from_json(cls, value: bytes | str) -> Self | None:
        """Return the origin in a JSON object; None if `value` holds none."""
        try:
            found = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(found, dict):
            return None
        known = {each.name: found.pop(each.name, None) for each in fields(cls)[:-1]}
        return cls(**known, unknown=found)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields in the contract's order."""
        known = asdict(self)
        del known["unknown"]
        return {**known, **self.unknown}

    def to_json(self) -> str:
        """Return the origin as it is stored in meta."""
        return orjson.dumps(self.to_dict()).decode()


@dataclass(frozen=True)
class Hold:
    """A snapshot that is withheld until someone approves it (contract, 2 and 6).

    A stored hold that cannot be read is a hold nevertheless, with empty fields.
    """

    digest: str = ""
    """Of the withheld snapshot, 16 hex digits."""
    since: str = ""
    """When it was withheld first, RFC 3339."""
    reasons: tuple[str, ...] = ()
    added: int = 0
    updated: int = 0
    removed: int = 0
    first: tuple[dict[str, Any], ...] = ()
    """Some of its changes: each with its event `type` and the event's `data` without the digest."""

    @classmethod
    def from_json(cls, value: bytes | str) -> Self:
        """Return the hold that `value` holds; an empty one if it cannot be read."""
        try:
            return msgspec.json.decode(value, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return cls()

    def to_json(self) -> bytes:
        """Return the hold as it is stored in Redis."""
        return orjson.dumps(self)


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
    return _depths_top_down(tree) or _depths_from_roots(tree)


def depths_of(categories: Collection[Category], tree: Tree) -> dict[str, int]:
    """Return the depths of `categories` of `tree`, and of some others, as `depths` has them.

    Of 1,000 among 100,000 that takes 4 ms. Of most it takes long, so all are looked up instead if
    parents come before children, in half the time.
    """
    if len(categories) > len(tree) // 2 and (of_all := _depths_top_down(tree)):
        return of_all
    found = {ROOT: 0}
    for category in categories:
        way_down = [category]
        while way_down:
            each = way_down[-1]
            if each.parent_id in found:
                found[each.id] = found[each.parent_id] + 1
                way_down.pop()
            elif each.parent_id in tree and len(way_down) <= len(tree):
                way_down.append(tree[each.parent_id])
            else:  # an orphan, or a cycle
                return depths(tree)
    return found


def _depths_top_down(tree: Tree) -> dict[str, int]:
    """Return the depths of a tree whose parents come before their children, or else nothing.

    TikTok Shop writes trees in that order (TikTok Shop API, Get Categories). A state comes as its
    hash has it, in any order.
    """
    found = {ROOT: 0}
    try:
        for category in tree.values():
            found[category.id] = found[category.parent_id] + 1
    except KeyError:
        return {}
    del found[ROOT]
    return found


def _depths_from_roots(tree: Tree) -> dict[str, int]:
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
