"""Bad snapshots are refused whole, odd ones tolerated with a warning (contract, 6)."""

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.core import digest
from publisher.core.model import FIELDS, Category
from publisher.core.snapshot import decode
from publisher.errors import BadSnapshot
from tests.support.trees import body, forests, rows_of, tree, wide

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
    for bare_list, raw in ((False, envelope(rows_of(categories))), (True, body(categories))):
        snapshot = decode(raw, bare_list=bare_list)
        assert snapshot.tree == categories
        assert snapshot.digest == digest.of(categories.values())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b'{"code":0',
        b"<html>502</html>",
        b'{"code":0,"data":{"categories":[{"id":"\xff"}]}}',
        b'{"code":0,"data":{"categories":[{"id":"\\ud800"}]}}',
    ],
)
def test_what_is_no_json(raw: bytes) -> None:
    """Bytes that are no UTF-8 and lone surrogates are none either."""
    assert refusal(raw).startswith(f"the answer ({len(raw)} bytes) is not JSON: ")


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"[]", "the answer is a list, not the documented envelope"),
        (b"null", "the answer is null, not the documented envelope"),
        (b"{}", "the answer has no number `code`: it is not the documented envelope"),
        (b'{"code":"0"}', "the answer has no number `code`: it is not the documented envelope"),
        (b'{"code":false,"data":{"categories":[]}}', "the answer has no number `code`: it is not the documented envelope"),
        (b'{"code":12052217,"message":"v2","request_id":"R"}', "the answer has code 12052217 ('v2', request_id 'R')"),
        (b'{"code":-1,"message":"down"}', "the answer has code -1 ('down', request_id None)"),
        (b'{"code":0,"data":null}', "the answer has no list `data.categories`"),
        (b'{"code":0,"data":{"categories":{}}}', "the answer has no list `data.categories`"),
        (b'{"code":0,"data":{"categories":[]}}', "the list of categories is empty; a shop's tree never is"),
        (envelope(GOOD, data={"categories": GOOD, "next_page_token": "x"}), "the answer has a next_page_token: it is one page of a list, and no page is a tree"),
        (envelope(["1"]), "categories[0] is text, not an object"),
        (envelope([*GOOD, {**ROW, "id": 2}]), "categories[1].id is a number, not text"),
        (envelope([{**ROW, "id": {"id": "1"}}]), "categories[0].id is an object, not text"),
        (envelope([{**ROW, "id": True}]), "categories[0].id is true or false, not text"),
        (envelope([{**ROW, "parent_id": None}]), "categories[0].parent_id is null, not text"),
        (envelope([{**ROW, "local_name": ["A"]}]), "categories[0].local_name is a list, not text"),
        (envelope([{**ROW, "is_leaf": 1}]), "categories[0].is_leaf is a number, not true or false"),
        (envelope([{**ROW, "is_leaf": "true"}]), "categories[0].is_leaf is text, not true or false"),
        (envelope([{"id": "1", "parent_id": "0", "is_leaf": True}]), "categories[0].local_name is missing, not text"),
        (envelope([{"id": "1", "parent_id": "0", "local_name": "A"}]), "categories[0].is_leaf is missing, not true or false"),
        (envelope([{**ROW, "id": ""}]), "categories[0] has an empty id"),
        (envelope([{**ROW, "local_name": ""}]), "categories[0] has an empty local_name"),
        (envelope([{**ROW, "id": "0"}]), 'categories[0] has the id "0", which means "no parent"'),
        (envelope([{**ROW, "local_name": "a\0b"}]), "categories[0].local_name holds a NUL character"),
        (envelope([{**ROW, "id": "\0"}]), "categories[0].id holds a NUL character"),
        (envelope([ROW, {**ROW, "local_name": "B"}]), "category '1' is in the list twice, and differs"),
        (envelope([{**ROW, "local_name": "B"}, ROW]), "category '1' is in the list twice, and differs"),
        (envelope([{**ROW, "parent_id": "9"}]), "category '1' has the parent '9', which is not in the list: a branch is missing"),
        (envelope([{**ROW, "parent_id": ""}]), "category '1' has the parent '', which is not in the list: a branch is missing"),
        (envelope(rows_of(tree(("1", "8"), ("2", "9"), ("3", "9")))), "category '1' has the parent '8', which is not in the list (and 2 more): a branch is missing"),
        (envelope([{**ROW, "parent_id": "1"}]), "category '1' is below no root: its ancestors form a cycle"),
        (envelope(rows_of(tree(("1", "0"), ("2", "3"), ("3", "2")))), "category '2' is below no root: its ancestors form a cycle (and 1 more)"),
    ],
)  # fmt: skip
def test_refused_whole(raw: bytes, told: str) -> None:
    """Each refusal says what is wrong, and where."""
    assert refusal(raw) == told


def test_outside_text_is_quoted_in_ascii_and_cut() -> None:
    """On one line, at most 200 characters of it, so that no answer floods or forges a log."""
    raw = orjson.dumps({"code": 1, "message": "x" * 500, "request_id": "ä\n\u202e"})
    cut = "'" + "x" * 199
    assert refusal(raw) == rf"the answer has code 1 ({cut}, request_id '\xe4\n\u202e')"


def test_at_most_200_000_categories() -> None:
    """The limit itself is good, one more is not."""
    assert len(decode(body(wide(200_000)), bare_list=True).tree) == 200_000
    assert refusal(body(wide(200_001)), bare_list=True) == (
        "200001 categories; a catalog holds at most 200000"
    )


def test_the_limit_of_what_is_not_as_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same there."""
    monkeypatch.setattr("publisher.core.parse_checked.MAX_CATEGORIES", 2)
    strange = [{**ROW, "id": str(number), "colour": 1} for number in range(1, 4)]
    assert len(decode(envelope(strange[:2]), bare_list=False).tree) == 2
    assert refusal(envelope(strange)) == "3 categories; a catalog holds at most 2"


@pytest.mark.parametrize(
    ("rows", "warning"),
    [
        ([ROW, ROW], "the same row twice: '1'"),
        ([{**ROW, "colour": 1}], "unknown fields in a category: 'colour'"),
        ([{**ROW, **dict.fromkeys("edcba")}], "unknown fields in a category: 'a', 'b', 'c' (and 2 more)"),
        ([{**ROW, **dict.fromkeys("cba")}], "unknown fields in a category: 'a', 'b', 'c'"),
        ([ROW, {**ROW, "id": "2", "parent_id": "1"}], "leaves with children: '1'"),
        ([{**ROW, "is_leaf": False}], "containers without children: '1'"),
    ],
)  # fmt: skip
def test_tolerated_with_a_warning(rows: list[Any], warning: str) -> None:
    """These are odd, but no reason to go without a tree."""
    assert decode(envelope(rows), bare_list=False).warnings == (warning,)


def test_documented_fields_are_no_strangers() -> None:
    """Permission statuses, total count and an empty page token are not worth a warning."""
    row = {**ROW, "permission_statuses": ["AVAILABLE"]}
    data = {"categories": [row], "next_page_token": "", "total_count": 1}
    assert decode(envelope([], data=data), bare_list=False).warnings == ()


def test_unknown_fields_around_the_list_are_told() -> None:
    """The envelope and its `data` may grow, as rows may; the warnings say where."""
    raw = envelope(GOOD, took_ms=3, data={"categories": GOOD, "cursor": ""})
    assert decode(raw, bare_list=False).warnings == (
        "unknown fields in the envelope: 'took_ms'",
        "unknown fields in `data`: 'cursor'",
    )


@pytest.mark.parametrize("total", [0, 7])
def test_a_total_that_differs_is_told(total: int) -> None:
    """A list shorter or longer than upstream says is accepted: nothing documents the number."""
    data = {"categories": GOOD, "total_count": total}
    (warning,) = decode(envelope([], data=data), bare_list=False).warnings
    assert warning == f"total_count is {total}, but the list has 1 categories"


def test_any_text_but_zero_is_an_id() -> None:
    """An id need not be a number, nor sort behind one."""
    categories = tree(("-", "0"), ("00", "-"), ("é", "00"), ("a b", "0"))
    assert decode(body(categories), bare_list=True).tree == categories


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
