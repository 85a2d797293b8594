"""A category tree that nobody has to be asked for, and that lives. Pure: same seed, same trees.

Its shape is that of real ones (TikTok Shop API, Get Categories): up to seven levels, ids that
ascend level by level, few large and many small branches, odd names. A category is a leaf if and
only if it has no children.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from publisher.sandbox import names
from publisher.sandbox.tree import ROOT, Row, Tree

LEVELS: Final = 7
FIRST_ID: Final = 600_001
LARGEST_GAP: Final = 8
MOST: Final = 200_000
"""A catalog's limit (contract, 2): a living tree does not outgrow it."""
CONTAINERS: Final = 0.2
"""The share of categories that may get children."""
ODD_EVERY: Final = 30
TWIN_EVERY: Final = 70
LARGE_BRANCH: Final = 5
"""The first root gets this many times as many children as another: guards need something whose
loss they notice."""
TRIES: Final = 200
REMOVALS: Final = 5
"""About as many as are added; far below what a guard withholds (contract, 6: more than 20)."""
FEWEST: Final = 20
"""Nothing is removed from a tree as small as this."""


def grow(count: int, seed: int = 1) -> list[Row]:
    """Return a valid tree of `count` categories, at least 1."""
    random = Random(f"grow {seed}")  # noqa: S311  no cryptography here
    parents = _parents(count, random)
    leaves = set(range(count)).difference(parents)
    ids = [FIRST_ID]
    while len(ids) < count:
        ids.append(ids[-1] + random.randint(1, LARGEST_GAP))
    rows = []
    names_given: dict[int | None, str] = {}
    for number, parent in enumerate(parents):
        name = _name(number, random, names_given.get(parent))
        names_given[parent] = name
        above = ROOT if parent is None else str(ids[parent])
        rows.append(Row(str(ids[number]), above, name, number in leaves))
    return rows


def live(tree: Tree, round_: int, seed: int = 1) -> list[Row]:
    """Return `tree` after one more round: renamed, moved, removed and added categories.

    Among them a new branch, leaves that become containers and the other way round, and now and
    then a parent and a child that swap places. An id that is gone never comes back.
    """
    forest = _Forest(tree, Random(f"live {seed} {round_}"))  # noqa: S311  no cryptography here
    for step in (_rename, _rename, _rename, _move, _empty, _prune, _branch, _sprout):
        step(forest)
    if forest.random.random() < 0.5:  # noqa: PLR2004  every other round
        _swap(forest)
    return forest.tree()


def _parents(count: int, random: Random) -> list[int | None]:
    """Return the parents' numbers of `count` categories, numbered breadth-first."""
    roots = max(1, min(26, count // 20))
    parents: list[int | None] = [None] * roots
    depths = [1] * roots
    containers = [*range(roots), *[0] * LARGE_BRANCH]
    for number in range(roots, count):
        parent = random.choice(containers)
        parents.append(parent)
        depths.append(depths[parent] + 1)
        if depths[number] < LEVELS and random.random() < CONTAINERS:
            containers.append(number)
    return _renumbered(parents, depths)


def _renumbered(parents: list[int | None], depths: list[int]) -> list[int | None]:
    order = sorted(range(len(parents)), key=depths.__getitem__)
    new = {old: number for number, old in enumerate(order)}
    above = (parents[old] for old in order)
    return [None if parent is None else new[parent] for parent in above]


def _name(number: int, random: Random, sibling: str | None) -> str:
    if sibling is not None and number % TWIN_EVERY == 0:
        return sibling
    name = names.plain(random)
    return names.odd(number // ODD_EVERY, name) if number % ODD_EVERY == 0 else name


class _Forest:
    """A tree that can be changed; `children` have an order, so that chance can be repeated."""

    def __init__(self, tree: Tree, random: Random) -> None:
        self.random = random
        self.rows = {row.id: row for row in tree}
        self.children: dict[str, dict[str, None]] = {}
        for row in tree:
            self.children.setdefault(row.parent_id, {})[row.id] = None
        self.ids = list(self.rows)
        self.newest = max(self.rows, key=int)

    def tree(self) -> list[Row]:
        return [
            row if row.is_leaf == self.is_leaf(row.id) else row._replace(is_leaf=not row.is_leaf)
            for row in self.rows.values()
        ]

    def is_leaf(self, id_: str) -> bool:
        return not self.children.get(id_)

    def depth(self, id_: str) -> int:
        return 0 if id_ == ROOT else 1 + self.depth(self.rows[id_].parent_id)

    def height(self, id_: str, without: str = "") -> int:
        below = (child for child in self.children.get(id_, ()) if child != without)
        return 1 + max((self.height(child) for child in below), default=0)

    def is_within(self, id_: str, branch: str) -> bool:
        return id_ == branch or (id_ != ROOT and self.is_within(self.rows[id_].parent_id, branch))

    def pick(self, fits: Callable[[str], bool]) -> str | None:
        """Return a random category that `fits`, None if there seems to be none."""
        for _ in range(TRIES):
            id_ = self.random.choice(self.ids)
            if id_ in self.rows and fits(id_):
                return id_
        return None

    def add(self, parent: str) -> str:
        self.newest = str(int(self.newest) + 1)
        self.rows[self.newest] = Row(self.newest, parent, names.plain(self.random), is_leaf=True)
        self.children.setdefault(parent, {})[self.newest] = None
        return self.newest

    def move(self, id_: str, parent: str) -> None:
        del self.children[self.rows[id_].parent_id][id_]
        self.children.setdefault(parent, {})[id_] = None
        self.rows[id_] = self.rows[id_]._replace(parent_id=parent)

    def remove(self, ids: Iterable[str]) -> None:
        for id_ in list(ids):
            del self.children[self.rows[id_].parent_id][id_]
            del self.rows[id_]


def _rename(forest: _Forest) -> None:
    id_ = forest.random.choice(forest.ids)
    old = forest.rows[id_].local_name
    if forest.random.random() < 0.2:  # noqa: PLR2004  one in five changes a blank only, a fact
        new = old.rstrip() if old != old.rstrip() else f"{old} "
    else:
        new = names.plain(forest.random)
    forest.rows[id_] = forest.rows[id_]._replace(local_name=new)


def _move(forest: _Forest) -> None:
    moved = forest.pick(lambda id_: forest.rows[id_].parent_id != ROOT)
    if moved is None:
        return
    room = LEVELS - forest.height(moved)
    parent = forest.pick(
        lambda id_: (
            forest.depth(id_) <= room
            and id_ != forest.rows[moved].parent_id
            and not forest.is_within(id_, moved)
        )
    )
    if parent is not None:
        forest.move(moved, parent)


def _swap(forest: _Forest) -> None:
    def fits(child: str) -> bool:
        parent = forest.rows[child].parent_id
        return (
            parent != ROOT and forest.depth(parent) + forest.height(parent, without=child) <= LEVELS
        )

    child = forest.pick(fits)
    if child is not None:
        parent = forest.rows[child].parent_id
        forest.move(child, forest.rows[parent].parent_id)
        forest.move(parent, child)


def _empty(forest: _Forest) -> None:
    """Remove all children of a category, which so becomes a leaf."""

    def fits(id_: str) -> bool:
        children = forest.children.get(id_, {})
        return (
            0 < len(children) < REMOVALS
            and all(forest.is_leaf(child) for child in children)
            and forest.newest not in children
        )

    id_ = forest.pick(fits) if len(forest.rows) > FEWEST else None
    if id_ is not None:
        forest.remove(forest.children[id_])


def _prune(forest: _Forest) -> None:
    """Remove leaves, until this round's removals are about as many as its additions."""
    goal = len(forest.ids) - forest.random.randint(REMOVALS - 1, REMOVALS + 1)
    while len(forest.rows) > max(goal, FEWEST):
        leaf = forest.pick(lambda id_: forest.is_leaf(id_) and id_ != forest.newest)
        if leaf is None:
            return
        forest.remove([leaf])


def _branch(forest: _Forest) -> None:
    """Add a branch of four."""
    parent = forest.pick(lambda id_: forest.depth(id_) <= LEVELS - 2)
    if parent is not None and len(forest.rows) + 4 <= MOST:
        top = forest.add(parent)
        for _ in range(3):
            forest.add(top)


def _sprout(forest: _Forest) -> None:
    """Add a child to a leaf, which so becomes a container."""
    parent = forest.pick(lambda id_: forest.is_leaf(id_) and forest.depth(id_) < LEVELS)
    if parent is not None and len(forest.rows) < MOST:
        forest.add(parent)
