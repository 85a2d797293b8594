"""Bad snapshots are refused whole, odd ones tolerated with a warning (contract, 6)."""

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.errors import BadSnapshot
from publisher.model import FIELDS, Category
from publisher.snapshot import decode
from tests.trees import body, forests, rows_of, tree, wide

ROW: dict[str, Any] = {"id": "1", "parent_id": "0", "local_name": "A", "is_leaf": True}
GOOD = [ROW]


def envelope(rows: Any, **more: Any) -> bytes:
    return orjson.dumps(
        {"code": 0, "message": "Success", "request_id": "r", "data": {"categories": rows}, **more}
    )


def refusal(raw: bytes, *, bare_list: bool = False) -> str:
    with pytest.raises(BadSnapshot) as caught:
        decode(raw, bare_list=bare_list)
    return str(caught.value)


@given(forests())
def test_a_good_answer_is_the_tree(categories: dict[str, Category]) -> None:
    """In the envelope or, where allowed, bare: the same categories, values untouched."""
    assert decode(envelope(rows_of(categories)), bare_list=False).tree == categories
    assert decode(body(categories), bare_list=True).tree == categories


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "not JSON"),
        (b'{"code":0', "not JSON"),
        (b"<html>502</html>", "not JSON"),
        (b'{"code":0,"data":{"categories":[{"id":"\xff"}]}}', "not JSON"),
        (b'{"code":0,"data":{"categories":[{"id":"\\ud800"}]}}', "not JSON"),
        (b"[]", "a list, not the documented envelope"),
        (b"null", "null, not the documented envelope"),
        (b"{}", "no number `code`"),
        (b'{"code":"0"}', "no number `code`"),
        (b'{"code":false,"data":{"categories":[]}}', "no number `code`"),
        (b'{"code":12052217,"message":"v2","request_id":"R"}', "12052217 ('v2', request_id 'R')"),
        (b'{"code":0,"data":null}', "no list `data.categories`"),
        (b'{"code":0,"data":{"categories":{}}}', "no list `data.categories`"),
        (b'{"code":0,"data":{"categories":[]}}', "empty"),
        (envelope(GOOD, data={"categories": GOOD, "next_page_token": "x"}), "next_page_token"),
        (envelope(["1"]), "categories[0] is text, not an object"),
        (envelope([*GOOD, {**ROW, "id": 2}]), "categories[1].id is a number, not text"),
        (envelope([{**ROW, "parent_id": None}]), "categories[0].parent_id is null, not text"),
        (envelope([{**ROW, "local_name": ["A"]}]), "categories[0].local_name is a list, not text"),
        (envelope([{**ROW, "is_leaf": 1}]), "is_leaf is a number, not true or false"),
        (envelope([{**ROW, "is_leaf": "true"}]), "is_leaf is text, not true or false"),
        (envelope([{"id": "1", "parent_id": "0", "is_leaf": True}]), "local_name is missing"),
        (envelope([{"id": "1", "parent_id": "0", "local_name": "A"}]), "is_leaf is missing"),
        (envelope([{**ROW, "id": ""}]), "empty id"),
        (envelope([{**ROW, "local_name": ""}]), "empty local_name"),
        (envelope([{**ROW, "id": "0"}]), 'the id "0"'),
        (envelope([{**ROW, "local_name": "a\0b"}]), "local_name holds a NUL"),
        (envelope([{**ROW, "id": "\0"}]), "id holds a NUL"),
        (envelope([ROW, {**ROW, "local_name": "B"}]), "'1' is in the list twice, and differs"),
        (envelope([{**ROW, "parent_id": "9"}]), "'1' has the parent '9', which is not in the list"),
        (envelope([{**ROW, "parent_id": ""}]), "has the parent '', which is not in the list"),
        (envelope([{**ROW, "parent_id": "1"}]), "cycle"),
        (envelope(rows_of(tree(("1", "0"), ("2", "3"), ("3", "2")))), "'2' hangs on no root"),
    ],
)  # fmt: skip
def test_refused_whole(raw: bytes, told: str) -> None:
    """Each refusal says what is wrong, and where."""
    assert told in refusal(raw)


def test_at_most_200_000_categories() -> None:
    """The limit itself is good, one more is not."""
    assert len(decode(body(wide(200_000)), bare_list=True).tree) == 200_000
    assert "200001 categories; a catalog holds at most 200000" in refusal(
        body(wide(200_001)), bare_list=True
    )


@pytest.mark.parametrize(
    ("rows", "warning"),
    [
        ([ROW, ROW], "the same row twice: '1'"),
        ([{**ROW, "colour": 1}], "unknown fields in a category: 'colour'"),
        ([ROW, {**ROW, "id": "2", "parent_id": "1"}], "leaves with children: '1'"),
        ([{**ROW, "is_leaf": False}], "containers without children: '1'"),
    ],
)
def test_tolerated_with_a_warning(rows: list[Any], warning: str) -> None:
    """These are odd, but no reason to go without a tree."""
    assert decode(envelope(rows), bare_list=False).warnings == (warning,)


def test_documented_fields_are_no_strangers() -> None:
    """Permission statuses, total count and an empty page token are not worth a warning."""
    row = {**ROW, "permission_statuses": ["AVAILABLE"]}
    data = {"categories": [row], "next_page_token": "", "total_count": 1}
    assert decode(envelope([], data=data), bare_list=False).warnings == ()


def test_a_total_that_differs_is_told() -> None:
    """A list shorter than upstream says is accepted, since nothing documents the number."""
    data = {"categories": GOOD, "total_count": 7}
    (warning,) = decode(envelope([], data=data), bare_list=False).warnings
    assert warning == "total_count is 7, but the list has 1 categories"


def test_names_stay_as_they_are() -> None:
    """Blanks, no-break spaces and line ends belong to the name."""
    name = " \u00a0Käse\n\u202e<b> "
    assert (
        decode(envelope([{**ROW, "local_name": name}]), bare_list=False).tree["1"].local_name
        == name
    )


@given(st.binary(max_size=300))
def test_any_bytes_are_a_snapshot_or_refused(raw: bytes) -> None:
    """Nothing else ever comes out of the decoder."""
    with contextlib.suppress(BadSnapshot):
        decode(raw, bare_list=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "0", "1", "id", "x\0"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["code", "data", "categories", *FIELDS]), inner)
    ),
)


@given(JSON)
def test_any_json_is_a_snapshot_or_refused(value: Any) -> None:
    """Whatever the shape."""
    with contextlib.suppress(BadSnapshot):
        decode(orjson.dumps(value), bare_list=True)
