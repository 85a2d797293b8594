"""The changes between two trees, and their order (contract, 5.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.core.diff import diff
from publisher.core.model import Category, Change
from tests.support.trees import forests, is_forest, tree

Tree = dict[str, Category]


def apply_change(state: Tree, change: Change) -> Tree:
    """Return `state` after `change`; check what a consumer relies on."""
    category = change.category
    if change.type == "added":
        assert category.id not in state
    elif change.type == "updated":
        assert state[category.id] == change.before != category
    else:
        assert state[category.id] == category
        return {id_: each for id_, each in state.items() if id_ != category.id}
    return {**state, category.id: category}


@pytest.mark.contract("5.5")
@given(forests(min_size=0), forests())
def test_replayed_in_order_gives_the_second_tree(state: Tree, snapshot: Tree) -> None:
    """Every prefix is a forest, and the last one is the snapshot."""
    for change in diff(state, snapshot):
        state = apply_change(state, change)
        assert is_forest(state)
    assert state == snapshot


@pytest.mark.contract("5.5")
@given(forests(), forests(), st.data())
def test_equal_trees_give_equal_changes(state: Tree, snapshot: Tree, data: st.DataObject) -> None:
    """The order of the rows in the answer does not matter."""
    shuffled = dict(data.draw(st.permutations(list(snapshot.items()))))
    assert diff(state, shuffled) == diff(state, snapshot)


@pytest.mark.contract("5.4")
@given(forests())
def test_equal_trees_have_no_changes(state: Tree) -> None:
    """It does not matter whether their rows are the same objects."""
    assert diff(state, state) == []
    assert (
        diff(state, {id_: Category(**category.fields()) for id_, category in state.items()}) == []
    )


@pytest.mark.contract("5.5")
def test_parent_and_child_swap_places() -> None:
    """The new parent moves up first, so that there is never a cycle."""
    state, snapshot = tree(("1", "0"), ("2", "1")), tree(("2", "0"), ("1", "2"))
    assert [change.category.id for change in diff(state, snapshot)] == ["2", "1"]


@pytest.mark.contract("5.5")
def test_order_is_by_depth_then_id_as_text() -> None:
    """Added and updated top-down, then removed bottom-up; "10" before "9"."""
    state = tree(("1", "0"), ("7", "1"), ("8", "7"), ("70", "7"))
    snapshot = tree(("1", "0", "renamed", False), ("9", "0"), ("10", "0"), ("5", "9"))
    found = [(change.type, change.category.id) for change in diff(state, snapshot)]
    assert found == [
        ("updated", "1"),
        ("added", "10"),
        ("added", "9"),
        ("added", "5"),
        ("removed", "70"),
        ("removed", "8"),
        ("removed", "7"),
    ]


@pytest.mark.contract("5.2")
def test_rows_below_no_root_are_removed() -> None:
    """A damaged state may have a cycle, or rows below a missing parent."""
    state = tree(("1", "0"), ("2", "3"), ("3", "2"), ("4", "gone"))
    changes = diff(state, tree(("1", "0")))
    assert [change.category.id for change in changes] == ["2", "3", "4"]
