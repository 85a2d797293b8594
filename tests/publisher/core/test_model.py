"""Changes and their counts, depths in a tree, origins and holds."""

from dataclasses import asdict
from dataclasses import replace as replace_fields

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from publisher.core.model import (
    Category,
    Change,
    Counts,
    Hold,
    Origin,
    count,
    depths,
    depths_of,
    parse_object,
)
from tests.support.trees import forests, tree

HOME = Category("1", "0", "Home", is_leaf=False)


def test_changes_are_counted_by_type() -> None:
    """Removals and updates have limits of their own."""
    added, removed = Change("added", HOME), Change("removed", HOME)
    updated = Change("updated", HOME, replace(HOME, local_name="House"))
    assert count([]) == Counts() == (0, 0, 0)
    assert count([removed, updated, removed, added, removed, updated]) == Counts(1, 2, 3)


@pytest.mark.contract("3")
def test_changed_names_the_fields_that_differ_in_value() -> None:
    """In the order of the row, by value: equal texts need not be one object."""
    small = Category("1", "0", "a", is_leaf=False)
    large = Category("1", "2", "b", is_leaf=True)
    everything = ["parent_id", "local_name", "is_leaf"]
    assert Change("updated", large, small).changed == everything
    assert Change("updated", small, large).changed == everything
    spelled_again = replace(HOME, local_name="".join(HOME.local_name))
    assert spelled_again.local_name is not HOME.local_name
    assert Change("updated", spelled_again, HOME).changed == []


@pytest.mark.contract("3")
def test_only_an_update_names_changed_fields() -> None:
    """An addition and a removal have no row to compare with."""
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


def test_a_category_below_no_root_has_no_depth() -> None:
    """Orphans, cycles, and everything below them."""
    assert depths({}) == {}
    assert depths(tree(("4", "gone"), ("5", "4"))) == {}
    assert depths(tree(("1", "0"), ("2", "3"), ("3", "2"), ("4", "3"))) == {"1": 1}


@given(forests())
def test_parents_come_before_children(categories: dict[str, Category]) -> None:
    """A child is one level deeper than its parent, and later in the order."""
    found = depths(categories)
    assert found.keys() == categories.keys()
    for index, id_ in enumerate(found):
        parent = categories[id_].parent_id
        assert found[id_] == found.get(parent, 0) + 1
        assert parent == "0" or list(found).index(parent) < index


@given(forests(), st.data())
def test_depths_of_some_equal_their_depths_among_all(
    categories: dict[str, Category], data: st.DataObject
) -> None:
    """The order of the given categories does not matter."""
    some = data.draw(st.lists(st.sampled_from(list(categories.values()))))
    found = depths_of(some, categories)
    assert found.pop("0", 0) == 0
    assert found.items() <= depths(categories).items()
    assert found.keys() >= {each.id for each in some}


def test_depths_of_few_read_only_their_ancestors() -> None:
    """The other categories are not visited."""
    wide = tree(("1", "0"), ("2", "1"), *((str(number), "1") for number in range(3, 20)))
    assert depths_of([wide["2"]], wide) == {"0": 0, "1": 1, "2": 2}


def test_depths_of_a_long_branch() -> None:
    """However deep, and given only its last category."""
    branch = tree(*((str(number), str(number - 1)) for number in range(1, 2001)))
    assert depths_of([branch["2000"]], branch)["2000"] == 2000


def test_depths_of_some_in_a_damaged_tree() -> None:
    """Orphans and cycles have none, and all others still have theirs."""
    damaged = tree(("1", "0"), ("4", "gone"), ("5", "4"), ("2", "3"), ("3", "2"), ("6", "1"))
    expected = {"1": 1, "6": 2}
    for order in (list(damaged.values()), list(damaged.values())[::-1]):
        assert depths_of(order, damaged) == expected
    for one in ("2", "4", "5"):
        assert depths_of([damaged["6"], damaged[one]], damaged) == expected
    assert depths_of([], damaged) == {"0": 0}


@pytest.mark.contract("2")
def test_an_origin_byte_for_byte() -> None:
    """The contract's fields in its order; null where a field is not set."""
    origin = Origin("tiktok_shop", "en-US", "v2")
    assert origin.to_json() == (
        '{"source":"tiktok_shop","locale":"en-US","category_version":"v2",'
        '"listing_platform":null,"include_prohibited_categories":null}'
    )
    assert parse_object(origin.to_json()) == asdict(origin)


@pytest.mark.parametrize("value", [None, "", "x", "{", "null", "[]", "-1", "1.5", b"\xff"])
def test_an_invalid_origin(value: bytes | str | None) -> None:
    """Then meta has no origin to compare with."""
    assert parse_object(value) is None


@pytest.mark.contract("2")
def test_a_hold_byte_for_byte() -> None:
    """The contract's fields in its order."""
    change = {"type": "category.added", "category": HOME.fields()}
    hold = Hold("0123456789abcdef", "2026-11-23T09:40:03.569Z", ("too many",), 1, 0, 0, (change,))
    assert list(orjson.loads(hold.to_json()).items()) == [
        ("digest", "0123456789abcdef"),
        ("since", "2026-11-23T09:40:03.569Z"),
        ("reasons", ["too many"]),
        ("added", 1),
        ("updated", 0),
        ("removed", 0),
        ("first", [change]),
    ]
    assert Hold.from_json(hold.to_json()) == hold


@pytest.mark.parametrize(
    "value", ["", "null", "[]", '{"digest":1}', '{"reasons":"x"}', '{"first":[1]}', b"\xff"]
)
def test_a_hold_that_cannot_be_read_is_a_hold(value: bytes | str) -> None:
    """All its fields are empty then."""
    assert Hold.from_json(value) == Hold()


@pytest.mark.parametrize("field", ["digest", "since", "reasons", "added", "first"])
def test_the_readable_fields_of_a_hold_are_kept(field: str) -> None:
    """Only the unreadable field is empty."""
    hold = Hold("0123456789abcdef", "2026-11-23T09:40:03.569Z", ("too many",), 1, 2, 3, ({"a": 1},))
    stored = {**orjson.loads(hold.to_json()), field: None, "new": 1}
    assert Hold.from_json(orjson.dumps(stored)) == replace_fields(
        hold, **{field: getattr(Hold(), field)}
    )
