"""Faults that change the tree or the body of an answer."""

import zlib
from collections.abc import Callable, Container, Mapping
from typing import Final

import orjson

from publisher.sandbox.tree import ROOT, OrderedTree, Tree, children_of

MIB: Final = 1024 * 1024
GZIP: Final = 16 + zlib.MAX_WBITS
"""The `wbits` that make zlib write gzip."""


def without_branch(tree: Tree) -> Tree:
    """Return `tree` without the largest branch that is at most half of it.

    Where each branch is larger than that, return no category at all.
    """
    sizes = dict.fromkeys((row.id for row in tree), 1)
    for row in reversed(tree):  # breadth-first, so children are counted before their parents
        if row.parent_id in sizes:
            sizes[row.parent_id] += sizes[row.id]
    candidates = [row for row in tree if 2 * sizes[row.id] <= len(tree)]
    if not candidates:
        return []
    top = max(candidates, key=lambda row: sizes[row.id]).id
    children = children_of(tree)
    removed, level = {top}, [top]
    while level:
        level = [child.id for id_ in level for child in children.pop(id_, ())]
        removed.update(level)
    return [row for row in tree if row.id not in removed]


def without_parent(tree: Tree) -> Tree:
    """Return `tree` without one category that has children, not a root if possible.

    A tree of roots alone has none and is returned unchanged.
    """
    parents = {row.parent_id for row in tree}
    inner = [row for row in tree if row.id in parents]
    candidates = [row for row in inner if row.parent_id != ROOT] or inner
    removed = candidates[len(candidates) // 2].id if candidates else None
    return [row for row in tree if row.id != removed]


TREE_FAULTS: Final[Mapping[str, Callable[[Tree], Tree]]] = {
    "branch": without_branch,
    "orphan": without_parent,
    "empty": lambda _tree: [],
}


def with_faults(tree: OrderedTree, kinds: Container[str]) -> tuple[OrderedTree, bytes]:
    """Return `tree` with the faults of these `kinds`, and the JSON of its `data`."""
    for kind, change in TREE_FAULTS.items():
        if kind in kinds:
            tree = OrderedTree(change(tree.rows))
    if "null-data" in kinds:
        return OrderedTree([]), b"null"
    if "next-page" in kinds:
        more = orjson.dumps({"next_page_token": "c2FuZGJveA==", "total_count": len(tree.rows) + 1})
        return tree, tree.data[:-1] + b"," + more[1:]
    return tree, tree.data


def gzip_bomb(mebibytes: int) -> bytes:
    """Return gzip that inflates to this many MiB: an empty list with many blanks.

    A GiB takes seconds, so call it in a thread.
    """
    compressor = zlib.compressobj(1, wbits=GZIP)
    blanks = b" " * MIB
    parts = [b'{"code":0,"message":"Success","request_id":"","data":{"categories":[']
    parts = [compressor.compress(part) for part in (*parts, *[blanks] * mebibytes, b"]}}")]
    return b"".join(parts) + compressor.flush()
