"""Paths and leaves of a tree."""

from consumers.mapping.tree import Tree
from tests.consumers.mapping.mapping_catalog import DRESSES

TREE = Tree({row.id: row for row in DRESSES})


def test_paths() -> None:
    """A path joins names as the view `category_paths` does; nearer leaves come first."""
    assert TREE.path("9") == "Womenswear > Women's Dresses > Other > Dresses for Weddings"
    assert [row.id for row in TREE.leaves_below("1")] == ["4", "3", "9"]
    assert list(TREE.leaves_below("4")) == []
