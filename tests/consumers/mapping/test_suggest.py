"""Suggestions: leaves by how similar they are, with what is known in between left out."""

import time
from pathlib import Path

import orjson
import pytest

from consumers.contract.model import Category, Rows
from consumers.mapping.model import (
    CategoryMapping,
    LinkedCategory,
    MappingSnapshot,
    OwnCategory,
    Status,
)
from consumers.mapping.suggest import MAX_SIMILAR, CandidateFinder, LeafIndex
from consumers.mapping.tree import Tree
from tests.consumers.pretend_publisher import TIME

ROWS = [
    Category("1", "0", "Womenswear", is_leaf=False),
    Category("2", "1", "Women's Dresses", is_leaf=False),
    Category("3", "2", "Evening Gowns", is_leaf=True),
    Category("4", "1", "Dresses", is_leaf=True),
    Category("5", "0", "Toys", is_leaf=False),
    Category("6", "5", "Doll Dresses", is_leaf=True),
    Category("7", "5", "Doll Dresses", is_leaf=True),
    Category("8", "2", "Other", is_leaf=False),
    Category("9", "8", "Dresses for Weddings", is_leaf=True),
]
TREE = Tree({row.id: row for row in ROWS})


def test_paths() -> None:
    """They are those of the view `category_paths`."""
    assert TREE.path("9") == "Womenswear > Women's Dresses > Other > Dresses for Weddings"
    assert [row.id for row in TREE.leaves_below("1")] == ["4", "3", "9"]
    assert list(TREE.leaves_below("4")) == []


def test_the_best_leaf_comes_first() -> None:
    """The name counts as much as the path, ties are by id, and nothing but leaves is found."""
    found = LeafIndex(TREE, []).find_similar("dresses", "women / DRESSES", 3)
    assert [one.id for one in found] == ["4", "9", "6"]
    assert found[0].path == "Womenswear > Dresses"
    dolls = LeafIndex(TREE, ["4"]).find_similar("Dresses", "Dolls > Dresses", 2)
    assert [one.id for one in dolls] == ["6", "7"]
    assert dolls[0].score == dolls[1].score


@pytest.mark.parametrize(
    ("name", "min_score"), [("Dresses", 100.1), ("Kettles", 60), ("", 1), ("???", 1)]
)
def test_nothing_similar(name: str, min_score: float) -> None:
    """It is better to suggest nothing than anything."""
    assert LeafIndex(TREE, []).find_similar(name, name, 3, min_score) == []
    assert LeafIndex(Tree({}), []).find_similar(name, name, 3) == []


def broken(id_: str, name: str, path: str, own: str) -> CategoryMapping:
    """Return a mapping of `own` whose category is broken."""
    status = Status("broken", "removed", TIME, None)
    return CategoryMapping(
        OwnCategory("a", own, own), LinkedCategory(id_, name, "1", path, TIME), status
    )


def candidates(mapping: CategoryMapping, *others: CategoryMapping) -> list[str]:
    """Return the ids of the candidates of `mapping`."""
    snapshot = MappingSnapshot({each.own.key: each for each in (mapping, *others)}, TREE.rows)
    return [one.id for one in CandidateFinder(snapshot).find(mapping)]


def test_names_without_letters() -> None:
    """They are compared as they are: not all of them are alike."""
    tree = Tree({id_: Category(id_, "0", name, is_leaf=True) for id_, name in ("1🎁", "2&", "3🧸")})
    assert [one.id for one in LeafIndex(tree, []).find_similar("🧸", "🧸", 3)] == ["3"]


def test_candidates_of_a_former_leaf() -> None:
    """They are the leaves below it that are not linked, its children first."""
    former = broken("1", "Womenswear", "Womenswear", "Clothes")
    assert candidates(former) == ["4", "3", "9"]
    other = former._replace(
        own=OwnCategory("b", "B", "B"), linked=LinkedCategory("4", "", "", "", TIME)
    )
    assert candidates(former, other) == ["3", "9"]


def test_candidates_of_a_removed_one() -> None:
    """They are similar to what was decided, or to the own category; a linked one is none."""
    gone = broken("99", "Evening Gown", "Womenswear > Evening Gown", "Toys for dolls")
    assert candidates(gone)[0] == "3"
    assert "6" in candidates(broken("99", "Xyz", "Xyz", "Doll Dresses"))
    assert len(candidates(broken("99", "Dresses", "Dresses", "Dresses"))) == MAX_SIMILAR
    fine = gone._replace(status=Status("valid", "", TIME, None))
    assert candidates(fine) == []


@pytest.fixture(scope="module")
def shopify(real_trees: Path) -> Rows:
    """Give a real tree."""
    rows = orjson.loads((real_trees / "shopify" / "0.15.0.json").read_bytes())
    return {row["id"]: Category(**row) for row in rows}


def test_a_real_tree(shopify: Rows) -> None:
    """What one would have chosen by hand is the first suggestion."""
    leaves = LeafIndex(Tree(shopify), [])
    wanted = {
        "Dresses": "Apparel & Accessories > Clothing > Dresses",
        "Kitchen > Mugs": "Home & Garden > Kitchen & Dining > Tableware > Drinkware > Mugs",
        "Schmuck > EARRINGS": "Apparel & Accessories > Jewelry > Earrings",
        "sneakers": "Apparel & Accessories > Shoes > Sneakers",
    }
    for path, best in wanted.items():
        assert leaves.find_similar(path.split(" > ")[-1], path, 3)[0].path == best


def test_it_is_quick(shopify: Rows) -> None:
    """Hundreds of own categories take seconds at most."""
    tree = Tree(shopify)
    chosen = list(tree.leaves())
    leaves = LeafIndex(tree, {leaf.id for leaf in chosen[3000:]})
    begin = time.process_time()
    for leaf in chosen[3000:3200]:
        leaves.find_similar(leaf.local_name, tree.path(leaf.id), 3)
    assert time.process_time() - begin < 4
