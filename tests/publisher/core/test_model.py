"""Counts of changes and depths in a tree."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from publisher.core.model import Category, Change, Counts, count, depths, depths_of
from tests.support.trees import forests, tree

HOME = Category("1", "0", "Home", is_leaf=False)


def test_changes_are_counted_by_type() -> None:
    """Each type on its own, since removals and updates have limits of their own."""
    added, removed = Change("added", HOME), Change("removed", HOME)
    updated = Change("updated", HOME, replace(HOME, local_name="House"))
    assert count([]) == Counts() == (0, 0, 0)
    assert count([removed, updated, removed, added, removed, updated]) == Counts(1, 2, 3)


def test_changed_names_the_fields_that_differ_in_value() -> None:
    """In the order of the row, whether they grow or shrink; equal text need not be one object."""
    small = Category("1", "0", "a", is_leaf=False)
    large = Category("1", "2", "b", is_leaf=True)
    everything = ["parent_id", "local_name", "is_leaf"]
    assert Change("updated", large, small).changed == everything
    assert Change("updated", small, large).changed == everything
    spelled_again = replace(HOME, local_name="".join(HOME.local_name))
    assert spelled_again.local_name is not HOME.local_name
    assert Change("updated", spelled_again, HOME).changed == []


def test_only_an_update_names_changed_fields() -> None:
    """Without a row before there is nothing that could differ."""
    assert Change("added", HOME).changed == []
    assert Change("removed", HOME).changed == []


def test_a_root_has_depth_one() -> None:
    """Each level adds one."""
    assert depths(tree(("3", "2"), ("1", "0"), ("2", "1"), ("9", "0"))) == {
        "1": 1,
        "9": 1,
        "2": 2,
        "3": 3,
    }


def test_what_hangs_on_no_root_has_no_depth() -> None:
    """Neither an orphan nor a cycle, nor what hangs on them."""
    assert depths({}) == {}
    assert depths(tree(("4", "gone"), ("5", "4"))) == {}
    assert depths(tree(("1", "0"), ("2", "3"), ("3", "2"), ("4", "3"))) == {"1": 1}


@given(forests())
def test_parents_come_before_children(categories: dict[str, Category]) -> None:
    """One level deeper than the parent, and later in the order."""
    found = depths(categories)
    assert found.keys() == categories.keys()
    for place, id_ in enumerate(found):
        parent = categories[id_].parent_id
        assert found[id_] == found.get(parent, 0) + 1
        assert parent == "0" or list(found).index(parent) < place


@given(forests(), st.data())
def test_depths_of_some_are_those_they_have_among_all(
    categories: dict[str, Category], data: st.DataObject
) -> None:
    """In whatever order they are asked for."""
    some = data.draw(st.lists(st.sampled_from(list(categories.values()))))
    found = depths_of(some, categories)
    assert found.pop("0", 0) == 0
    assert found.items() <= depths(categories).items()
    assert found.keys() >= {each.id for each in some}


def test_depths_of_few_cost_no_look_at_all() -> None:
    """But at those above them."""
    wide = tree(("1", "0"), ("2", "1"), *((str(number), "1") for number in range(3, 20)))
    assert depths_of([wide["2"]], wide) == {"0": 0, "1": 1, "2": 2}


def test_depths_of_a_long_branch() -> None:
    """However deep, from its end on."""
    branch = tree(*((str(number), str(number - 1)) for number in range(1, 2001)))
    assert depths_of([branch["2000"]], branch)["2000"] == 2000


def test_depths_of_what_hangs_on_no_root() -> None:
    """Neither an orphan nor a cycle has one, and they keep nobody else from having one."""
    damaged = tree(("1", "0"), ("4", "gone"), ("5", "4"), ("2", "3"), ("3", "2"), ("6", "1"))
    sound = {"1": 1, "6": 2}
    for order in (list(damaged.values()), list(damaged.values())[::-1]):
        assert depths_of(order, damaged) == sound
    for one in ("2", "4", "5"):
        assert depths_of([damaged["6"], damaged[one]], damaged) == sound
    assert depths_of([], damaged) == {"0": 0}
