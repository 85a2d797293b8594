"""Synthetic answers of TikTok Shop: the same trees each time."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, Final

import orjson

from publisher.sandbox.synthetic import generate
from publisher.sandbox.tree import ROOT, Row

CHANGED_OF: Final = 100
"""One category in so many changes."""
END_OF: Final = 5
"""Of the changes, one in so many is an addition, and as many are removals; the rest are renames."""


def rows(count: int) -> list[Row]:
    """Return a tree of `count` categories, breadth-first, as TikTok Shop tells it."""
    return list(generate(count))


def shuffled(tree: Sequence[Row], number: int) -> list[Row]:
    """Return `tree` in another order for each `number`."""
    return Random(number).sample(tree, len(tree))  # noqa: S311  no cryptography here


def changed(tree: Sequence[Row]) -> list[Row]:
    """Return `tree`, of at least 5 rows, with 1 % changed, always the same."""
    random = Random("changed")  # noqa: S311  no cryptography here
    count = max(END_OF, len(tree) // CHANGED_OF)
    ends = count // END_OF
    gone = _removable(tree, ends, random)
    stay = [row for row in tree if row.id not in gone]
    renamed = {row.id for row in random.sample(stay, count - 2 * ends)}
    new = [
        row._replace(local_name=f"{row.local_name} & more") if row.id in renamed else row
        for row in stay
    ]
    return new + _additions(stay, ends, random)


def _removable(tree: Sequence[Row], count: int, random: Random) -> set[str]:
    """Return ids of leaves whose parents keep another child, so that those do not change."""
    children = Counter(row.parent_id for row in tree)
    gone: set[str] = set()
    for row in random.sample(tree, len(tree)):
        if len(gone) < count and row.is_leaf and children[row.parent_id] > 1:
            children[row.parent_id] -= 1
            gone.add(row.id)
    return gone


def _additions(tree: Sequence[Row], count: int, random: Random) -> list[Row]:
    parents = [row.id for row in tree if not row.is_leaf] or [ROOT]
    last = max(int(row.id) for row in tree)
    return [
        Row(str(last + number), random.choice(parents), f"Added {number}", is_leaf=True)
        for number in range(1, count + 1)
    ]


def answer(tree: Sequence[Row], request_id: str = "1", status: str = "AVAILABLE") -> bytes:
    """Return the body in which TikTok Shop tells `tree`, some 120 bytes a category."""
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
