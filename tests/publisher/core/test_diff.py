"""The changes between two trees, and their order (contract, 5.5)."""

from hypothesis import given
from hypothesis import strategies as st

from publisher.core.diff import diff
from publisher.core.model import Category, Change
from tests.support.trees import forests, is_forest, tree

Tree = dict[str, Category]


def applied(state: Tree, change: Change) -> Tree:
    """Return `state` after `change`, as a consumer would do it, checking what it relies on."""
    category = change.category
    if change.type == "added":
        assert category.id not in state
    elif change.type == "updated":
        assert state[category.id] == change.before != category
    else:
        assert state[category.id] == category
        return {id_: each for id_, each in state.items() if id_ != category.id}
    return {**state, category.id: category}


@given(forests(min_size=0), forests())
def test_replayed_in_order_gives_the_second_tree(state: Tree, snapshot: Tree) -> None:
    """Every prefix is a forest, and the end is the snapshot."""
    for change in diff(state, snapshot):
        state = applied(state, change)
        assert is_forest(state)
    assert state == snapshot


@given(forests(), forests(), st.data())
def test_same_input_same_changes(state: Tree, snapshot: Tree, data: st.DataObject) -> None:
    """The order of the rows upstream does not matter."""
    shuffled = dict(data.draw(st.permutations(list(snapshot.items()))))
    assert diff(state, shuffled) == diff(state, snapshot)


@given(forests())
def test_the_same_tree_twice_differs_in_nothing(state: Tree) -> None:
    """Whether or not the rows are the same objects."""
    assert diff(state, state) == []
    assert (
        diff(state, {id_: Category(**category.fields()) for id_, category in state.items()}) == []
    )


def test_parent_and_child_swap_places() -> None:
    """The new parent moves up first, so that no cycle is ever seen."""
    state, snapshot = tree(("1", "0"), ("2", "1")), tree(("2", "0"), ("1", "2"))
    assert [change.category.id for change in diff(state, snapshot)] == ["2", "1"]


def test_order_is_by_depth_then_id_as_text() -> None:
    """Added and updated top-down, then removed bottom-up; "10" before "9"."""
    state = tree(("1", "0"), ("7", "1"), ("8", "7"), ("70", "7"))
    snapshot = tree(("1", "0", "renamed", False), ("9", "0"), ("10", "0"), ("5", "9"))
    told = [(change.type, change.category.id) for change in diff(state, snapshot)]
    assert told == [
        ("updated", "1"),
        ("added", "10"),
        ("added", "9"),
        ("added", "5"),
        ("removed", "70"),
        ("removed", "8"),
        ("removed", "7"),
    ]


def test_a_damaged_state_can_be_left() -> None:
    """Rows that hang on no root, in a cycle or below a missing parent, are removed too."""
    state = tree(("1", "0"), ("2", "3"), ("3", "2"), ("4", "gone"))
    changes = diff(state, tree(("1", "0")))
    assert [change.category.id for change in changes] == ["2", "3", "4"]
