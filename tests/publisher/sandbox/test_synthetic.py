"""Synthetic trees: valid, shaped like real ones, and repeatable."""

import hashlib
from collections import Counter
from itertools import islice

import pytest

from publisher.sandbox.synthetic import LEVELS, generate, mutate, mutating_trees
from publisher.sandbox.tree import Row, Tree, breadth_first, children_of


def check_forest(tree: Tree) -> dict[str, int]:
    """Check that `tree` is a valid forest with right leaf flags; return depths by id."""
    depths = {"0": 0}
    for row in breadth_first(tree):
        assert row.id not in depths
        depths[row.id] = depths[row.parent_id] + 1
        assert row.local_name
    assert len(depths) == len(tree) + 1
    children = children_of(tree)
    assert all(row.is_leaf == (row.id not in children) for row in tree)
    return depths


@pytest.mark.parametrize("count", [1, 2, 3, 10, 19, 20, 21, 1_000, 2_700, 20_000])
def test_any_size_is_a_valid_tree(count: int) -> None:
    """The size is exact, there are at most seven levels, ids ascend level by level."""
    tree = generate(count)
    depths = check_forest(tree)
    assert len(tree) == count
    assert max(depths.values()) <= LEVELS
    assert [row.id for row in tree] == sorted((row.id for row in tree), key=int)
    assert breadth_first(tree) == tree


def test_the_tree_is_shaped_like_a_real_one() -> None:
    """The tree has seven levels, and most of its categories are leaves."""
    tree = generate(2_700)
    depths = check_forest(tree)
    assert max(depths.values()) == 7
    assert 0.7 < sum(row.is_leaf for row in tree) / len(tree) < 0.95
    assert all(row.id.isdecimal() and row.id.isascii() for row in tree)


def test_names_are_as_odd_as_real_ones() -> None:
    """Blanks, no-break spaces, newlines, markup, scripts, twins under one parent."""
    names = [row.local_name for row in generate(2_700)]
    for oddity in (
        lambda name: name.startswith(" "),
        lambda name: name.endswith(" "),
        lambda name: name.startswith("\u00a0"),
        lambda name: "\n" in name,
        lambda name: "<b>" in name and "&" in name and '"' in name and "'" in name,
        lambda name: "[bold red]" in name,
        lambda name: "\U0001f9f8" in name,
        lambda name: "\u5bb6" in name,
        lambda name: "\u0623" in name,
        lambda name: "\u05e6" in name,
        lambda name: "TikTok test category" in name,
    ):
        assert any(oddity(name) for name in names)
    twins = Counter((row.parent_id, row.local_name) for row in generate(2_700))
    assert max(twins.values()) > 1


def test_the_same_seed_is_the_same_tree() -> None:
    """Another seed is another tree."""
    assert generate(500, 3) == generate(500, 3)
    assert generate(500, 3) != generate(500, 4)
    assert mutate(generate(500), 1, 3) == mutate(generate(500), 1, 3)
    assert mutate(generate(500), 1, 3) != mutate(generate(500), 2, 3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_round_has_every_kind_of_change(seed: int) -> None:
    """The tree stays valid, and no round changes as much as a guard withholds."""
    tree: Tree = generate(2_700, seed)
    seen = {row.id for row in tree}
    rounds_with_a_swap = rounds_that_empty = 0
    for round_ in range(1, 101):
        new = mutate(tree, round_, seed)
        assert max(check_forest(new).values()) <= LEVELS
        before, after = {row.id: row for row in tree}, {row.id: row for row in new}
        added, removed = after.keys() - before.keys(), before.keys() - after.keys()
        updated = [(before[id_], after[id_]) for id_ in before.keys() & after.keys()]
        assert added.isdisjoint(seen), "an id came back"
        assert 3 <= len(added) <= 20
        assert 3 <= len(removed) <= 20
        assert any(after[id_].parent_id in added for id_ in added), "no new branch"
        assert any(old.local_name != now.local_name for old, now in updated)
        assert any(old.parent_id != now.parent_id for old, now in updated)
        assert any(old.is_leaf and not now.is_leaf for old, now in updated)
        rounds_that_empty += any(not old.is_leaf and now.is_leaf for old, now in updated)
        assert sum(old != now for old, now in updated) <= 100
        rounds_with_a_swap += any(_is_swapped(old, before, after) for old, _ in updated)
        seen |= added
        tree = new
    assert 10 < rounds_with_a_swap < 90
    assert rounds_that_empty > 90
    assert 2_500 < len(tree) < 2_900


def _is_swapped(row: Row, before: dict[str, Row], after: dict[str, Row]) -> bool:
    parent = after.get(row.parent_id)
    return parent is not None and parent.parent_id == row.id and before[row.id] == row


@pytest.mark.parametrize("count", [1, 2, 5, 25, 100])
def test_small_trees_mutate_too(count: int) -> None:
    """They may grow; they stay valid and never become empty."""
    tree: Tree = generate(count)
    for round_ in range(1, 51):
        tree = mutate(tree, round_)
        check_forest(tree)
        assert tree


def test_a_full_catalog_does_not_overflow() -> None:
    """A catalog has at most 200,000 categories (contract, 2)."""
    tree: Tree = generate(200_000)
    for round_ in range(1, 4):
        tree = mutate(tree, round_)
        assert 199_900 < len(tree) <= 200_000


@pytest.mark.parametrize(
    ("size", "digest"), [(30, "021fc6c673b6a517"), (2_700, "da1edcebf423eadb")]
)
def test_the_trees_of_a_seed_never_change(size: int, digest: str) -> None:
    """A failure of a seed can be repeated, and benchmarks compared, after years."""
    hashed = hashlib.sha256()
    for tree in islice(mutating_trees(size, seed=7), 15):
        hashed.update(repr([tuple(row) for row in tree]).encode())
    assert hashed.hexdigest()[:16] == digest
