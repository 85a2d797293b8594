"""An independent implementation of the contract, 3 to 5. Pure.

It has the digest, the forest, the order and the events. It imports no code of the product, so that
a mistake there cannot hide itself.
"""

from collections.abc import Container, Iterable, Mapping
from functools import reduce
from hashlib import sha256
from operator import xor
from typing import Any, Final, NamedTuple, Self, TypeAlias

import orjson

Row: TypeAlias = dict[str, Any]
"""`id`, `parent_id`, `local_name`, `is_leaf`, in this order."""
Tree: TypeAlias = dict[str, Row]
"""Rows by id."""
Event: TypeAlias = dict[str, Any]
Ends: TypeAlias = tuple[Row | None, Row | None]
"""The row that an event ends, and the row that it begins."""

FIELDS: Final = ["id", "parent_id", "local_name", "is_leaf"]
ORIGIN: Final[dict[str, Any]] = {
    "source": "http",
    "locale": None,
    "category_version": None,
    "listing_platform": None,
    "include_prohibited_categories": None,
}
"""The origin of a catalog that sets nothing but its source."""


def digest_of(tree: Mapping[str, Row]) -> str:
    """Return the digest of a state (contract, 4)."""
    return f"{reduce(xor, map(digest_of_row, tree.values()), 0):016x}"


def digest_of_row(row: Row) -> int:
    """Return what `row` contributes to its state's digest (contract, 4)."""
    text = "\0".join([row["id"], row["parent_id"], row["local_name"], "01"[row["is_leaf"]]])
    return int(sha256(text.encode()).hexdigest()[:16], 16)


def not_under_a_root(tree: Tree, id_: str) -> str | None:
    """Return why the ancestors of `id_` do not end at a root; None if they do."""
    seen = {id_}
    parent = tree[id_]["parent_id"]
    while parent != "0":
        if parent in seen:
            return f"{id_} is its own ancestor"
        if parent not in tree:
            return f"{id_} has no parent {parent}"
        seen.add(parent)
        parent = tree[parent]["parent_id"]
    return None


class Before(NamedTuple):
    """The state before a commit."""

    tree: Tree
    loose: Container[str]
    """Categories that were below no root, as in a damaged state: they have no depth, so the order of
    their removals is not defined."""
    is_cut: bool = False
    """Whether `tree` is incomplete, since the first events of the commit are not known."""

    @classmethod
    def of(cls, tree: Tree, first: Event, *, is_cut: bool) -> Self:
        """Return the state before the commit that begins with `first`.

        A repair's may be damaged.
        """
        if int(first["sequence"]) > 1:
            return cls(dict(tree), frozenset(), is_cut)
        return cls(dict(tree), {id_ for id_ in tree if not_under_a_root(tree, id_) is not None})


def is_in_order(before: Before, after: Tree, commit: Iterable[Event]) -> bool:
    """Return whether the events of a commit are in the order of contract 5.5.

    Added and updated top-down by depth in `after`, then removed bottom-up by depth in the state before;
    ties by id. Categories without a known depth are not checked.
    """
    places = []
    for event in commit:
        id_, is_removed = event["subject"], event["type"] == "category.removed"
        if is_removed and before.is_cut:
            places.append((True, 0, ""))
        elif depth := _depth(before.tree if is_removed else after, id_):
            places.append((is_removed, -depth if is_removed else depth, id_))
    return places == sorted(places)


def _depth(tree: Tree, id_: str) -> int:
    """Return the depth of `id_`, 1 for a root; 0 if it is below no root."""
    if id_ not in tree or not_under_a_root(tree, id_) is not None:
        return 0
    depth = 0
    while id_ != "0":
        id_ = tree[id_]["parent_id"]
        depth += 1
    return depth


def event_in(fields: Mapping[bytes, bytes]) -> Event | None:
    """Return the event of a stream entry; None if it is not of the documented form."""
    try:
        event = orjson.loads(fields[b"event"])
        data, category = event["data"], event["data"]["category"]
        id_ = f"{event['epoch']}-{int(event['sequence'])}-{data['digest']}"
        is_sound = (
            event["id"] == id_
            and list(category) == FIELDS
            and event["subject"] == category["id"]
            and ("before" in data) == ("changed" in data) == (event["type"] == "category.updated")
            and data.get("changed", []) == _differing(data.get("before", category), category)
            and len(event["sequence"]) == 20
        )
    except (ValueError, TypeError, KeyError):
        return None
    return event if is_sound else None


def _differing(before: Row, row: Row) -> list[str]:
    return [field for field in FIELDS if before[field] != row[field]]


def ends_of(event: Event) -> Ends:
    """Return the rows that `event` ends and begins.

    Each is None if there is none.
    """
    row = event["data"]["category"]
    if event["type"] == "category.removed":
        return row, None
    return event["data"].get("before"), row


def follows(position: str, event: Event) -> bool:
    """Return whether `event` directly follows `position`."""
    epoch, sequence = epoch_and_sequence(position)
    if not position:
        return int(event["sequence"]) == 1
    return (event["epoch"], int(event["sequence"])) == (epoch, sequence + 1)


def position_before(event: Event) -> str:
    """Return the position directly before `event`."""
    digests = map(digest_of_row, filter(None, ends_of(event)))
    digest = reduce(xor, digests, int(event["data"]["digest"], 16))
    return f"{event['epoch']}-{int(event['sequence']) - 1}-{digest:016x}"


def epoch_and_sequence(position: str) -> tuple[str, int]:
    epoch, _, rest = position.partition("-")
    sequence = rest.partition("-")[0]
    return epoch, int(sequence) if sequence.isdecimal() else 0
