"""Events, byte for byte (contract, 3)."""

from collections.abc import Iterable, Iterator

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from publisher.core import digest
from publisher.core.diff import diff
from publisher.core.event import Position, data, encode, row
from publisher.core.model import Category, Change
from tests.support.schemas import assert_valid_category, assert_valid_event
from tests.support.trees import forests

HOME = Category("600001", "0", "Home", is_leaf=False)
SUPPLIES = replace(HOME, local_name="Home Supplies")
START = Position("9f3c1a2b", 104, digest.of_category(HOME))
TIME = "2026-11-23T09:40:03.569Z"


def encode_all(
    catalog: str, start: Position, time: str, changes: Iterable[Change]
) -> tuple[list[bytes], Position]:
    """Return what `encode` yields, and what it returns."""
    ends = []

    def encoding() -> Iterator[bytes]:
        ends.append((yield from encode(catalog, start, time, changes)))

    return list(encoding()), ends[0]


@pytest.mark.contract("3")
def test_an_update_byte_for_byte() -> None:
    """The contract's example: the fields in its order, compact."""
    [event], end = encode_all("us", START, TIME, [Change("updated", SUPPLIES, HOME)])
    after = digest.text(digest.of_category(SUPPLIES))
    assert event.decode() == (
        f'{{"specversion":"1.0","id":"9f3c1a2b-105-{after}","source":"/catalogs/us",'
        '"type":"category.updated","subject":"600001","time":"2026-11-23T09:40:03.569Z",'
        '"datacontenttype":"application/json",'
        '"dataschema":"urn:category-publisher:category.updated:1","epoch":"9f3c1a2b",'
        '"sequence":"00000000000000000105",'
        '"data":{"category":{"id":"600001","parent_id":"0","local_name":"Home Supplies",'
        '"is_leaf":false},'
        '"before":{"id":"600001","parent_id":"0","local_name":"Home","is_leaf":false},'
        f'"changed":["local_name"],"digest":"{after}"}}}}'
    )
    assert end == Position("9f3c1a2b", 105, digest.of_category(SUPPLIES))


@pytest.mark.contract("3")
def test_added_and_removed_have_no_before_and_no_changed() -> None:
    """A removal has the last known row."""
    towels = Category("600002", "600001", "Towels", is_leaf=True)
    changes = [Change("added", towels), Change("removed", towels)]
    events = encode("us", START, TIME, changes)
    for raw, kind in zip(events, ("added", "removed"), strict=True):
        event = orjson.loads(raw)
        assert event["type"] == f"category.{kind}"
        assert list(event["data"]) == ["category", "digest"]
        assert event["data"]["category"] == towels.fields()


@pytest.mark.contract("2")
def test_a_row_is_compact_utf8() -> None:
    """Its keys are in the contract's order; only what must be escaped is escaped."""
    assert row(Category("1", "0", "Käse <b>", is_leaf=True)).decode() == (
        '{"id":"1","parent_id":"0","local_name":"Käse <b>","is_leaf":true}'
    )


@pytest.mark.contract("5.5")
@given(forests(), forests(), st.data())
def test_equal_trees_give_equal_events(
    state: dict[str, Category], snapshot: dict[str, Category], data: st.DataObject
) -> None:
    """Events are equal byte for byte, for any order of the rows in the answer."""
    shuffled = dict(data.draw(st.permutations(list(snapshot.items()))))
    first, second = (diff(state, new) for new in (snapshot, shuffled))
    assert list(encode("us", START, TIME, first)) == list(encode("us", START, TIME, second))


@pytest.mark.contract("3")
@given(forests(min_size=0), forests())
def test_events_are_valid_and_have_no_gap(
    state: dict[str, Category], snapshot: dict[str, Category]
) -> None:
    """Each sequence is one more, and each digest is that of the state after it."""
    start = Position("00000000", 7, digest.of(state.values()))
    events, end = encode_all("us", start, TIME, diff(state, snapshot))
    for number, raw in enumerate(events, 8):
        event = orjson.loads(raw)
        assert_valid_event(event)
        assert int(event["sequence"]) == number
        assert event["id"] == f"00000000-{number}-{event['data']['digest']}"
    assert end == Position("00000000", 7 + len(events), digest.of(snapshot.values()))
    for category in snapshot.values():
        assert_valid_category(orjson.loads(row(category)))


@pytest.mark.contract("2")
def test_a_hold_has_the_data_of_events() -> None:
    """Without the digest, in the same order."""
    for change in (Change("updated", SUPPLIES, HOME), Change("removed", HOME)):
        [event] = encode("us", START, TIME, [change])
        expected = orjson.loads(event)["data"]
        del expected["digest"]
        assert list(data(change).items()) == list(expected.items())
