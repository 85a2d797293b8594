"""The input of all peers, as files: a list from the source, and a changed one.

Consumers get the same as our events.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench import inputs
from publisher.core.diff import diff
from publisher.core.event import Position, encode
from publisher.core.model import Category
from publisher.sandbox.tree import Row

TIME = "2026-11-23T09:40:03.569Z"


class Lists(NamedTuple):
    """The files with the source's two answers."""

    first: Path
    changed: Path


def write(folder: Path, tree: Sequence[Row]) -> Lists:
    """Write `tree` and its changed version into `folder`."""
    lists = Lists(folder / "first.json", folder / "changed.json")
    lists.first.write_bytes(inputs.answer(tree))
    lists.changed.write_bytes(inputs.answer(inputs.change(tree)))
    return lists


def events(tree: Sequence[Row], catalog: str) -> list[bytes]:
    """Return our events of the first list."""
    changes = diff({}, {row.id: Category(*row) for row in tree})
    start = Position("9f3c1a2b", 0, 0)
    return list(encode(catalog, start, TIME, changes))
