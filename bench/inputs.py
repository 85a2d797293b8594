"""Synthetic answers of TikTok Shop: the same trees in each run."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, Final

import orjson

from publisher.sandbox.synthetic import generate
from publisher.sandbox.tree import ROOT, Row

CHANGE_EVERY: Final = 100
"""One category in 100 changes."""
ADDITION_EVERY: Final = 5
"""One change in five is an addition, one a removal; the others are renames."""


def rows(count: int) -> list[Row]:
    """Return a tree of `count` categories, breadth-first, as TikTok Shop sends it."""
    return list(generate(count))


def shuffle(tree: Sequence[Row], number: int) -> list[Row]:
    """Return `tree` in another order for each `number`."""
    return Random(number).sample(tree, len(tree))  # noqa: S311  no cryptography here


def change(tree: Sequence[Row]) -> list[Row]:
    """Return `tree`, of at least 5 rows, with 1 % changed, the same in each run."""
    random = Random("changed")  # noqa: S311  no cryptography here
    count = max(ADDITION_EVERY, len(tree) // CHANGE_EVERY)
    ends = count // ADDITION_EVERY
    removed = _removable(tree, ends, random)
    remaining = [row for row in tree if row.id not in removed]
    renamed = {row.id for row in random.sample(remaining, count - 2 * ends)}
    new = [
        row._replace(local_name=f"{row.local_name} & more") if row.id in renamed else row
        for row in remaining
    ]
    return new + _additions(remaining, ends, random)


def _removable(tree: Sequence[Row], count: int, random: Random) -> set[str]:
    """Return ids of leaves that have siblings, so that their parents do not change."""
    children = Counter(row.parent_id for row in tree)
    removed: set[str] = set()
    for row in random.sample(tree, len(tree)):
        if len(removed) < count and row.is_leaf and children[row.parent_id] > 1:
            children[row.parent_id] -= 1
            removed.add(row.id)
    return removed


def _additions(tree: Sequence[Row], count: int, random: Random) -> list[Row]:
    parents = [row.id for row in tree if not row.is_leaf] or [ROOT]
    last = max(int(row.id) for row in tree)
    return [
        Row(str(last + number), random.choice(parents), f"Added {number}", is_leaf=True)
        for number in range(1, count + 1)
    ]


def answer(tree: Sequence[Row], request_id: str = "1", status: str = "AVAILABLE") -> bytes:
    """Return the body with which TikTok Shop sends `tree`, 120 bytes per category."""
    categories: list[dict[str, Any]] = [
        {
            "id": id_,
            "parent_id": parent,
            "local_name": name,
            "is_leaf": leaf,
            "permission_statuses": [status],
        }
        for id_, parent, name, leaf in tree
    ]
    return orjson.dumps(
        {
            "code": 0,
            "message": "Success",
            "request_id": request_id,
            "data": {"categories": categories},
        }
    )
