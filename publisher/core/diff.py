"""Computes the changes from a state to a snapshot, in the contract's order.

Added and updated categories come top-down by their depth in the snapshot, then removed ones
bottom-up by their depth in the state; ties by id, by code point (contract, 5.5). So a changed
category is always below parents that are final already, and a category is removed after its
children: every prefix is a forest, even where a parent and its child swap places.
"""

import sys
from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from publisher.core.model import Category, Change, Tree, depths_of

BY_ID: Final = attrgetter("id")
"""Python sorts text by code point, as the contract demands."""


def diff(state: Tree, snapshot: Tree) -> list[Change]:
    """Return the changes from `state` to `snapshot`; equal trees give equal lists.

    `snapshot` is a forest. A damaged `state` may not be one (contract, 5.2): its categories that
    are below no root count as the deepest ones.
    """
    if state is snapshot or state == snapshot:
        return []
    return [*_additions_and_updates(state, snapshot), *_removals(state, snapshot)]


def _additions_and_updates(state: Tree, snapshot: Tree) -> Iterator[Change]:
    changed = [new for new in snapshot.values() if state.get(new.id) != new]
    depth = depths_of(changed, snapshot)
    changed.sort(key=BY_ID)
    changed.sort(key=lambda category: depth[category.id])  # stable, and faster than pairs as keys
    for new in changed:
        old = state.get(new.id)
        yield Change("added", new) if old is None else Change("updated", new, old)


def _removals(state: Tree, snapshot: Tree) -> Iterator[Change]:
    removed = [state[id_] for id_ in state.keys() - snapshot.keys()]
    depth = depths_of(removed, state)

    def deepest_first(category: Category) -> tuple[int, str]:
        return -depth.get(category.id, sys.maxsize), category.id

    for old in sorted(removed, key=deepest_first):
        yield Change("removed", old)
