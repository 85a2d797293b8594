"""What faults do to a tree and to its JSON."""

from collections.abc import Callable, Container, Mapping
from typing import Final

import orjson

from publisher.sandbox.body import Piece, gzipped
from publisher.sandbox.page import Page
from publisher.sandbox.tree import ROOT, Tree, children_of

MIB: Final = 1024 * 1024


def without_branch(tree: Tree) -> Tree:
    """Return `tree` without its largest branch that leaves at least half of it."""
    sizes = _branch_sizes(tree)
    fitting = [row for row in tree if 2 * sizes[row.id] <= len(tree)]
    if not fitting:
        return []
    gone = max(fitting, key=lambda row: sizes[row.id]).id
    children = children_of(tree)
    missing, level = {gone}, [gone]
    while level:
        level = [child.id for id_ in level for child in children.pop(id_, ())]
        missing.update(level)
    return [row for row in tree if row.id not in missing]


def without_inner(tree: Tree) -> Tree:
    """Return `tree` without one category that has children, deep down if possible.

    A tree of roots alone has none; it stays as it is.
    """
    parents = {row.parent_id for row in tree}
    inner = [row for row in tree if row.id in parents]
    deep = [row for row in inner if row.parent_id != ROOT] or inner
    gone = deep[len(deep) // 2].id if deep else None
    return [row for row in tree if row.id != gone]


def without_all(_tree: Tree) -> Tree:
    """Return no category at all."""
    return []


OF_TREES: Final[Mapping[str, Callable[[Tree], Tree]]] = {
    "branch": without_branch,
    "orphan": without_inner,
    "empty": without_all,
}


def damaged(page: Page, kinds: Container[str]) -> tuple[Page, Piece]:
    """Return what is left of `page`, and the `data` that tells of it."""
    for kind, damage in OF_TREES.items():
        if kind in kinds:
            page = Page(damage(page.rows))
    if "null-data" in kinds:
        return Page([]), Piece(b"null")
    if "next-page" in kinds:
        more = orjson.dumps({"next_page_token": "c2FuZGJveA==", "total_count": len(page.rows) + 1})
        return page, Piece(page.data.raw[:-1] + b"," + more[1:])
    return page, page.data


def bomb(mebibytes: int) -> bytes:
    """Return gzip that inflates to so many MiB: a list without categories, but with many blanks.

    A GiB takes a good part of a second, so call it in a thread.
    """
    blanks = Piece(b" " * MIB)
    head = Piece(b'{"code":0,"message":"Success","request_id":"","data":{"categories":[')
    return gzipped([head, *[blanks] * mebibytes, Piece(b"]}}")])


def _branch_sizes(tree: Tree) -> dict[str, int]:
    """Return the number of categories of the branch below each id, itself included."""
    sizes = dict.fromkeys((row.id for row in tree), 1)
    for row in reversed(tree):  # breadth-first, so children are counted before their parents
        if row.parent_id in sizes:
            sizes[row.parent_id] += sizes[row.id]
    return sizes
