"""Which leaves are suggested, and which are candidates for a broken mapping."""

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
from tests.consumers.mapping.mapping_catalog import DRESSES
from tests.consumers.pretend_publisher import TIME
from tests.support.waiting import patience

TREE = Tree({row.id: row for row in DRESSES})


def test_the_best_leaf_comes_first() -> None:
    """Name and path count the same, ties are by id, and only leaves are found."""
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
    """Nothing is suggested below the minimum score."""
    assert LeafIndex(TREE, []).find_similar(name, name, 3, min_score) == []
    assert LeafIndex(Tree({}), []).find_similar(name, name, 3) == []


def broken(id_: str, name: str, path: str, own: str) -> CategoryMapping:
    """Return a broken mapping of `own`."""
    status = Status("broken", "removed", TIME, None)
    return CategoryMapping(
        OwnCategory("a", own, own), LinkedCategory(id_, name, "1", path, TIME), status
    )


def candidates(mapping: CategoryMapping, *others: CategoryMapping) -> list[str]:
    """Return the ids of the candidates of `mapping`."""
    snapshot = MappingSnapshot({each.own.key: each for each in (mapping, *others)}, TREE.rows)
    return [one.id for one in CandidateFinder(snapshot).find(mapping)]


def test_names_without_letters() -> None:
    """Names without letters are compared unchanged, so they are not all equal."""
    tree = Tree({id_: Category(id_, "0", name, is_leaf=True) for id_, name in ("1🎁", "2&", "3🧸")})
    assert [one.id for one in LeafIndex(tree, []).find_similar("🧸", "🧸", 3)] == ["3"]


def test_candidates_of_a_former_leaf() -> None:
    """Candidates are the leaves below it that have no link, its children first."""
    former = broken("1", "Womenswear", "Womenswear", "Clothes")
    assert candidates(former) == ["4", "3", "9"]
    other = former._replace(
        own=OwnCategory("b", "B", "B"), linked=LinkedCategory("4", "", "", "", TIME)
    )
    assert candidates(former, other) == ["3", "9"]


def test_candidates_of_a_removed_category() -> None:
    """Candidates are similar to the linked category or the own one, and free."""
    gone = broken("99", "Evening Gown", "Womenswear > Evening Gown", "Toys for dolls")
    assert candidates(gone)[0] == "3"
    assert "6" in candidates(broken("99", "Xyz", "Xyz", "Doll Dresses"))
    assert len(candidates(broken("99", "Dresses", "Dresses", "Dresses"))) == MAX_SIMILAR
    valid = gone._replace(status=Status("valid", "", TIME, None))
    assert candidates(valid) == []


@pytest.fixture(scope="module")
def shopify(real_trees: Path) -> Rows:
    """Return a real tree."""
    rows = orjson.loads((real_trees / "shopify" / "0.15.0.json").read_bytes())
    return {row["id"]: Category(**row) for row in rows}


def test_a_real_tree(shopify: Rows) -> None:
    """The first suggestion is what a person would choose."""
    leaves = LeafIndex(Tree(shopify), [])
    wanted = {
        "Dresses": "Apparel & Accessories > Clothing > Dresses",
        "Kitchen > Mugs": "Home & Garden > Kitchen & Dining > Tableware > Drinkware > Mugs",
        "Schmuck > EARRINGS": "Apparel & Accessories > Jewelry > Earrings",
        "sneakers": "Apparel & Accessories > Shoes > Sneakers",
    }
    for path, best in wanted.items():
        assert leaves.find_similar(path.split(" > ")[-1], path, 3)[0].path == best


def test_speed(shopify: Rows) -> None:
    """200 own categories take less than 4 s of processor time."""
    tree = Tree(shopify)
    chosen = list(tree.leaves())
    leaves = LeafIndex(tree, {leaf.id for leaf in chosen[3000:]})
    begin = time.process_time()
    for leaf in chosen[3000:3200]:
        leaves.find_similar(leaf.local_name, tree.path(leaf.id), 3)
    assert time.process_time() - begin < patience(4)
