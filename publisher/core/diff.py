"""From a state to a snapshot, as changes in an order that never breaks the tree. Pure.

Added and updated categories come top-down by their depth in the snapshot, then removed ones
bottom-up by their depth in the state; ties by id, by code point (contract, 5.5). So at every
moment whatever was touched hangs on parents that are final already, and nothing is removed
before its children: every prefix is a forest, moves that swap parent and child included.
"""

import sys
from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from publisher.core.model import Category, Change, Tree, depths_of

BY_ID: Final = attrgetter("id")
"""Texts sort by code point, as the contract wants it."""


def diff(state: Tree, snapshot: Tree) -> list[Change]:
    """Return the changes that lead from `state` to `snapshot`; the same trees, the same list.

    `snapshot` is a forest. A damaged `state` need not be one (contract, 5.2): categories of it
    that hang on no root count as deepest.
    """
    if state is snapshot or state == snapshot:
        return []
    return [*_added_and_updated(state, snapshot), *_removed(state, snapshot)]


def _added_and_updated(state: Tree, snapshot: Tree) -> Iterator[Change]:
    touched = [new for new in snapshot.values() if state.get(new.id) != new]
    depth = depths_of(touched, snapshot)
    touched.sort(key=BY_ID)
    touched.sort(key=lambda category: depth[category.id])  # stable, and faster than pairs as keys
    for new in touched:
        old = state.get(new.id)
        yield Change("added", new) if old is None else Change("updated", new, old)


def _removed(state: Tree, snapshot: Tree) -> Iterator[Change]:
    gone = [state[id_] for id_ in state.keys() - snapshot.keys()]
    depth = depths_of(gone, state)

    def deepest_first(category: Category) -> tuple[int, str]:
        return -depth.get(category.id, sys.maxsize), category.id

    for old in sorted(gone, key=deepest_first):
        yield Change("removed", old)
