"""Synthetic answers of TikTok Shop: the same trees each time."""

from random import Random
from typing import Any, Final

import orjson

from publisher.sandbox.synthetic import grow

Row = tuple[str, str, str, bool]
EVERY: Final = 100
"""One row in so many is changed: 1 %."""


def rows(count: int) -> list[Row]:
    """Return a tree of `count` categories, breadth-first, as TikTok Shop tells it."""
    return [(row.id, row.parent_id, row.local_name, row.is_leaf) for row in grow(count)]


def shuffled(tree: list[Row], number: int) -> list[Row]:
    """Return `tree` in another order for each `number`."""
    return Random(number).sample(tree, len(tree))  # noqa: S311  no cryptography here


def renamed(tree: list[Row]) -> list[Row]:
    """Return `tree` with 1 % of its categories renamed."""
    return [
        (id_, parent, f"{name} (new)" if number % EVERY == 0 else name, leaf)
        for number, (id_, parent, name, leaf) in enumerate(tree)
    ]


def answer(tree: list[Row], request_id: str = "1", status: str = "AVAILABLE") -> bytes:
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
