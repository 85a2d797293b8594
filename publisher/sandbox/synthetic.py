"""A synthetic category tree that changes; the same seed gives the same trees.

Its shape is that of real ones (TikTok Shop API, Get Categories): up to seven levels, ids that
ascend level by level, few large and many small branches, odd names. A category is a leaf if and
only if it has no children.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, count
from random import Random
from typing import Final

from publisher.sandbox.tree import ROOT, Row, Tree

LEVELS: Final = 7
FIRST_ID: Final = 600_001
MAX_ID_GAP: Final = 8
MAX_CATEGORIES: Final = 200_000
"""A catalog's limit (contract, 2); a mutating tree does not outgrow it."""
CONTAINER_SHARE: Final = 0.2
"""The share of categories that may get children."""
ODD_NAME_EVERY: Final = 30
TWIN_NAME_EVERY: Final = 70
"""Every 70th category has the name of its parent's previous child."""
LARGE_BRANCH: Final = 5
"""The first root gets this many more chances of a child than another: guards need a branch whose
loss they notice."""
MAX_TRIES: Final = 200
REMOVALS: Final = 5
"""About as many as are added; far below what a guard withholds (contract, 6: more than 20)."""
MIN_CATEGORIES: Final = 20
"""Nothing is removed from a tree as small as this."""
ADJECTIVES: Final = (
    "Baby", "Classic", "Compact", "Cordless", "Cotton", "Digital", "Eco", "Electric", "Folding",
    "Garden", "Handmade", "Home", "Kids'", "Leather", "Luxury", "Men's", "Outdoor", "Portable",
    "Professional", "Smart", "Sports", "Travel", "Vintage", "Waterproof", "Women's", "Wooden",
)  # fmt: skip
NOUNS: Final = (
    "Accessories", "Appliances", "Bags", "Bedding", "Books", "Cameras", "Carpets", "Chargers",
    "Clocks", "Cookware", "Costumes", "Drills", "Earrings", "Fragrance", "Furniture", "Games",
    "Gloves", "Hats", "Headphones", "Jackets", "Keyboards", "Lamps", "Makeup", "Mugs", "Paint",
    "Pet Food", "Phones", "Plants", "Scarves", "Shoes", "Snacks", "Stationery", "Storage",
    "Supplements", "Tents", "Tools", "Toys", "Vases", "Watches", "Yarn",
)  # fmt: skip
ODD_NAMES: Final = (
    " {}",
    "{} ",
    "\u00a0{}",
    "{}\u00a0 ",
    "{}\n",
    "<b>{}</b> & \"more\" 'n' co",
    "[bold red]{}[/bold red]",
    "=SUM(1,2) {}",
    "{} \U0001f9f8\U0001f468\u200d\U0001f469\u200d\U0001f467",  # a teddy bear and a family
    "\u5bb6\u5c45\u7528\u54c1 {}",  # Chinese: home supplies
    "{} \u30b3\u30b9\u30e1",  # Japanese: cosmetics
    "\u0623\u062f\u0648\u0627\u062a {}",  # Arabic: tools
    "{} \u05e6\u05e2\u05e6\u05d5\u05e2\u05d9\u05dd",  # Hebrew: toys
    "Cafe\u0301 {}",  # an accent of its own, as decomposed Unicode has it
    "TikTok test category {}, do not use",
)
"""Blanks, no-break spaces, newlines and TikTok's own test categories are facts (TikTok Shop API,
Get Categories); the others are what breaks a page, a terminal or a spreadsheet."""


def generate(size: int, seed: int = 1) -> list[Row]:
    """Return a valid tree of `size` categories, at least 1."""
    random = Random(f"grow {seed}")  # noqa: S311  no cryptography here
    parents = _parents(size, random)
    leaves = set(range(size)).difference(parents)
    gaps = (random.randint(1, MAX_ID_GAP) for _ in range(size - 1))
    ids = list(accumulate(gaps, initial=FIRST_ID))
    rows = []
    last_names: dict[int | None, str] = {}
    for number, parent in enumerate(parents):
        name = _name(number, random, last_names.get(parent))
        last_names[parent] = name
        parent_id = ROOT if parent is None else str(ids[parent])
        rows.append(Row(str(ids[number]), parent_id, name, number in leaves))
    return rows


def mutate(tree: Tree, round_: int, seed: int = 1) -> list[Row]:
    """Return `tree` after a round of renamed, moved, removed and added categories.

    A round adds a branch, turns leaves into containers and containers into leaves, and sometimes
    lets a parent and a child swap places. An id that was removed never comes back.
    """
    forest = _Forest(tree, Random(f"live {seed} {round_}"))  # noqa: S311  no cryptography here
    for _ in range(3):
        forest.rename()
    forest.move_random()
    forest.remove_children()
    forest.remove_leaves()
    forest.add_branch()
    forest.add_child_to_leaf()
    if forest.random.random() < 0.5:  # noqa: PLR2004  every other round
        forest.swap_with_parent()
    return forest.tree()


def mutating_trees(size: int, seed: int) -> Iterator[Tree]:
    """Yield a synthetic tree of `size` categories, then its mutations, for ever."""
    tree: Tree = generate(size, seed)
    for round_ in count(1):
        yield tree
        tree = mutate(tree, round_, seed)


def _parents(size: int, random: Random) -> list[int | None]:
    """Return each category's parent by number, breadth-first; None for a root."""
    roots = max(1, min(26, size // 20))
    parents: list[int | None] = [None] * roots
    depths = [1] * roots
    containers = [*range(roots), *[0] * LARGE_BRANCH]
    for number in range(roots, size):
        parent = random.choice(containers)
        parents.append(parent)
        depths.append(depths[parent] + 1)
        if depths[number] < LEVELS and random.random() < CONTAINER_SHARE:
            containers.append(number)
    order = sorted(range(size), key=depths.__getitem__)
    new: dict[int | None, int] = {old: number for number, old in enumerate(order)}
    return [new.get(parents[old]) for old in order]  # None, a root's parent, stays None


def _name(number: int, random: Random, sibling: str | None) -> str:
    if sibling is not None and number % TWIN_NAME_EVERY == 0:
        return sibling
    name = _plain_name(random)
    if number % ODD_NAME_EVERY:
        return name
    return ODD_NAMES[number // ODD_NAME_EVERY % len(ODD_NAMES)].format(name)


def _plain_name(random: Random) -> str:
    return f"{random.choice(ADJECTIVES)} {random.choice(NOUNS)}"


class _Forest:
    """A tree that can be changed.

    `children` keep an order, so that a seed gives the same tree.
    """

    def __init__(self, tree: Tree, random: Random) -> None:
        self.random = random
        self.rows = {row.id: row for row in tree}
        self.children: dict[str, dict[str, None]] = {}
        for row in tree:
            self.children.setdefault(row.parent_id, {})[row.id] = None
        self.ids = list(self.rows)
        self.newest = max(self.rows, key=int)

    def tree(self) -> list[Row]:
        """Return the rows, with the leaf flags that fit."""
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
        """Return the id of a random category that `fits`, None if none is found."""
        for _ in range(MAX_TRIES):
            id_ = self.random.choice(self.ids)
            if id_ in self.rows and fits(id_):
                return id_
        return None

    def add(self, parent: str) -> str:
        self.newest = str(int(self.newest) + 1)
        self.rows[self.newest] = Row(self.newest, parent, _plain_name(self.random), is_leaf=True)
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

    def rename(self) -> None:
        """Rename a category; one time in five only a blank changes."""
        id_ = self.random.choice(self.ids)
        old = self.rows[id_].local_name
        if self.random.random() < 0.2:  # noqa: PLR2004  some real renames change only a blank
            new = old.rstrip() if old != old.rstrip() else f"{old} "
        else:
            new = _plain_name(self.random)
        self.rows[id_] = self.rows[id_]._replace(local_name=new)

    def move_random(self) -> None:
        """Move a category to another parent."""
        moved = self.pick(lambda id_: self.rows[id_].parent_id != ROOT)
        if moved is None:
            return
        room = LEVELS - self.height(moved)
        parent = self.pick(
            lambda id_: (
                self.depth(id_) <= room
                and id_ != self.rows[moved].parent_id
                and not self.is_within(id_, moved)
            )
        )
        if parent is not None:
            self.move(moved, parent)

    def swap_with_parent(self) -> None:
        """Let a category and its parent swap places."""

        def fits(child: str) -> bool:
            parent = self.rows[child].parent_id
            room = LEVELS - self.depth(parent)
            return parent != ROOT and self.height(parent, without=child) <= room

        child = self.pick(fits)
        if child is not None:
            parent = self.rows[child].parent_id
            self.move(child, self.rows[parent].parent_id)
            self.move(parent, child)

    def remove_children(self) -> None:
        """Remove all children of a category, which becomes a leaf."""

        def fits(id_: str) -> bool:
            children = self.children.get(id_, {})
            return (
                0 < len(children) < REMOVALS
                and all(self.is_leaf(child) for child in children)
                and self.newest not in children
            )

        id_ = self.pick(fits) if len(self.rows) > MIN_CATEGORIES else None
        if id_ is not None:
            self.remove(self.children[id_])

    def remove_leaves(self) -> None:
        """Remove leaves until this round has about as many removals as additions."""
        goal = len(self.ids) - self.random.randint(REMOVALS - 1, REMOVALS + 1)
        while len(self.rows) > max(goal, MIN_CATEGORIES):
            leaf = self.pick(lambda id_: self.is_leaf(id_) and id_ != self.newest)
            if leaf is None:
                return
            self.remove([leaf])

    def add_branch(self) -> None:
        """Add a branch of four categories."""
        parent = self.pick(lambda id_: self.depth(id_) <= LEVELS - 2)
        if parent is not None and len(self.rows) + 4 <= MAX_CATEGORIES:
            top = self.add(parent)
            for _ in range(3):
                self.add(top)

    def add_child_to_leaf(self) -> None:
        """Add a child to a leaf, which becomes a container."""
        parent = self.pick(lambda id_: self.is_leaf(id_) and self.depth(id_) < LEVELS)
        if parent is not None and len(self.rows) < MAX_CATEGORIES:
            self.add(parent)
