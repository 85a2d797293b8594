"""The input that all peers are given, as files: a list as the source answers it, and a changed one.

And the same as our events, for those that consume them.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import orjson

from publisher.diff import diff
from publisher.event import Place, encode
from publisher.model import Category
from publisher.sandbox.tree import ROOT, Row

CHANGED_OF = 100
"""One category in so many changes."""
END_OF = 5
"""Of the changes, one in so many is an addition, and as many are removals; the rest are renames."""
TIME = "2026-11-23T09:40:03.569Z"


class Lists(NamedTuple):
    """Where the source's two answers are."""

    first: Path
    changed: Path


def write(folder: Path, tree: Sequence[Row]) -> Lists:
    """Write `tree`, and what becomes of it, into `folder`."""
    lists = Lists(folder / "first.json", folder / "changed.json")
    lists.first.write_bytes(answer(tree))
    lists.changed.write_bytes(answer(changed(tree)))
    return lists


def answer(tree: Sequence[Row]) -> bytes:
    """Return the source's answer that tells `tree`."""
    rows = [{**row._asdict(), "permission_statuses": ["AVAILABLE"]} for row in tree]
    return orjson.dumps({"code": 0, "message": "Success", "data": {"categories": rows}})


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


def events(tree: Sequence[Row], catalog: str) -> list[bytes]:
    """Return our events of the first list."""
    changes = diff({}, {row.id: Category(*row) for row in tree})
    start = Place("9f3c1a2b", 0, 0)
    return list(encode(catalog, start, TIME, changes))
