"""A category tree as the sandbox serves it: rows, order, JSON, and tree files.

A tree need not be valid: the publisher can be given duplicates, orphans and cycles too.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from publisher.sandbox.errors import BadOption

ROOT: Final = "0"
"""A root's `parent_id` (TikTok Shop API, Get Categories)."""
PERMISSION_STATUSES: Final = (*["AVAILABLE"] * 17, *["INVITE_ONLY"] * 2, "NON_MAIN_CATEGORY")
"""`permission_statuses` of the rows, in turn. They belong to a shop, so nobody stores them
(contract, 2)."""
FIELD_TYPES: Final = {"id": str, "parent_id": str, "local_name": str, "is_leaf": bool}


class Row(NamedTuple):
    """One category."""

    id: str
    parent_id: str
    local_name: str
    is_leaf: bool


Tree: TypeAlias = Sequence[Row]


class OrderedTree:
    """A tree in TikTok's order, with its JSON, which is made only once."""

    def __init__(self, tree: Tree) -> None:
        self.rows = breadth_first(tree)

    @cached_property
    def data(self) -> bytes:
        """The JSON of the envelope's `data`."""
        rows = [
            {**row._asdict(), "permission_statuses": [status]}
            for row, status in zip(self.rows, cycle(PERMISSION_STATUSES), strict=False)
        ]
        return orjson.dumps({"categories": rows})


def children_of(tree: Tree) -> dict[str, list[Row]]:
    """Return the rows by their `parent_id`, in their order."""
    children: dict[str, list[Row]] = {}
    for row in tree:
        children.setdefault(row.parent_id, []).append(row)
    return children


def breadth_first(tree: Tree) -> list[Row]:
    """Return the rows level by level, ids ascending within a level.

    Rows that no root leads to (orphans and cycles) come last.
    """
    children = children_of(tree)
    ordered: list[Row] = []
    level = children.pop(ROOT, [])
    while level:
        level.sort(key=lambda row: (len(row.id), row.id))  # for decimal ids: by number
        ordered += level
        level = [child for row in level for child in children.pop(row.id, ())]
    ordered += [row for rows in children.values() for row in rows]
    return ordered


def read_tree(path: Path) -> list[Row]:
    """Read a tree, valid or not, from a file.

    The file has the API's envelope, or a bare list of categories.

    Raises BadOption if the file cannot be read, is neither, or a row lacks one of the four fields.
    """
    if path.exists() and not path.is_file():
        raise BadOption(f"tree {path}: is not a file")
    try:
        content = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadOption(f"tree {path}: no such file") from None
    except OSError as error:
        raise BadOption(f"tree {path}: cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise BadOption(f"tree {path}: is not JSON: {error}") from None
    if isinstance(content, dict) and isinstance(content.get("data"), dict):
        content = content["data"].get("categories")
    if not isinstance(content, list):
        raise BadOption(
            f"tree {path}: is neither a list of categories nor an envelope with data.categories"
        )
    return [_read_row(path, number, row) for number, row in enumerate(content, 1)]


def _read_row(path: Path, number: int, row: Any) -> Row:
    for name, kind in FIELD_TYPES.items():
        if not isinstance(row, dict) or not isinstance(row.get(name), kind):
            expected = "true or false" if kind is bool else "text"
            raise BadOption(f"tree {path}: category {number}: {name} has to be {expected}")
    return Row(*(row[name] for name in FIELD_TYPES))
