"""Trees for tests: random forests from Hypothesis, and small ones by hand."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from hypothesis import strategies as st

from publisher.core.model import ROOT, Category

NAMES = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=6
)
IDS = st.sampled_from([*(str(number) for number in range(1, 13)), "é", "a-b", "100", "99"])


@st.composite
def forests(draw: st.DrawFn, *, min_size: int = 1) -> dict[str, Category]:
    """Draw a valid tree.

    Each category's parent is a root's "0" or a category drawn before it.
    """
    ids = draw(st.lists(IDS, unique=True, min_size=min_size, max_size=12))
    tree: dict[str, Category] = {}
    for id_ in ids:
        parent = draw(st.sampled_from([ROOT, *tree]))
        name = draw(NAMES)
        tree[id_] = Category(id_, parent, name, draw(st.booleans()))
    order = draw(st.permutations(list(tree)))
    return {id_: tree[id_] for id_ in order}


def tree(*rows: tuple[str, str, str, bool] | tuple[str, str]) -> dict[str, Category]:
    """Return a tree of (id, parent_id[, local_name, is_leaf]) rows."""
    made = (
        Category(*row) if len(row) == 4 else Category(row[0], row[1], f"name {row[0]}", False)
        for row in rows
    )
    return {category.id: category for category in made}


def wide(count: int) -> dict[str, Category]:
    """Return a root with `count` - 1 children."""
    rows = [("1", "0"), *((str(number), "1") for number in range(2, count + 1))]
    return tree(*rows)


def rows_of(categories: Mapping[str, Category] | Iterable[Category]) -> list[dict[str, Any]]:
    """Return the rows as in the API's answer."""
    values = categories.values() if isinstance(categories, Mapping) else categories
    return [category.fields() for category in values]


def body(categories: Mapping[str, Category] | Iterable[Category]) -> bytes:
    """Return the body of an answer that is a bare list."""
    return orjson.dumps(rows_of(categories))


def is_forest(categories: Mapping[str, Category]) -> bool:
    """Return whether every category is below a root.

    It walks up, while the publisher walks down.
    """
    return all(_reaches_root(categories, id_) for id_ in categories)


def _reaches_root(categories: Mapping[str, Category], id_: str) -> bool:
    seen = set()
    while id_ != ROOT:
        if id_ in seen or id_ not in categories:
            return False
        seen.add(id_)
        id_ = categories[id_].parent_id
    return True
