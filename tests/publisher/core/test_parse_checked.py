"""Invalid answers are rejected entirely, with the reason (contract, 6)."""

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.core.model import FIELDS
from publisher.core.snapshot import Decoder
from publisher.errors import BadSnapshot
from tests.support.trees import body, wide

ROW: dict[str, Any] = {"id": "1", "parent_id": "0", "local_name": "A", "is_leaf": True}
GOOD = [ROW]


def envelope(rows: Any, **more: Any) -> bytes:
    return orjson.dumps(
        {"code": 0, "message": "Success", "request_id": "r", "data": {"categories": rows}, **more}
    )


def refusal(raw: bytes, *, bare_list: bool = False) -> str:
    with pytest.raises(BadSnapshot) as caught:
        Decoder().decode(raw, bare_list=bare_list)
    return str(caught.value)


@pytest.mark.contract("6")
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
def test_invalid_json(raw: bytes) -> None:
    """Nor are bytes that are not UTF-8, and lone surrogates."""
    assert refusal(raw).startswith(f"the answer ({len(raw)} bytes) is not JSON: ")


@pytest.mark.contract("6")
@pytest.mark.contract("5.10")
@pytest.mark.parametrize(
    ("raw", "message"),
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
    ],
)  # fmt: skip
def test_an_invalid_answer_is_rejected(raw: bytes, message: str) -> None:
    """The message says what is wrong, and where."""
    assert refusal(raw) == message


@pytest.mark.contract("6")
def test_outside_text_is_quoted_in_ascii_and_cut() -> None:
    """On one line, at most 200 characters, so that no answer floods or forges a log."""
    raw = orjson.dumps({"code": 1, "message": "x" * 500, "request_id": "ä\n\u202e"})
    cut = "'" + "x" * 199
    assert refusal(raw) == rf"the answer has code 1 ({cut}, request_id '\xe4\n\u202e')"


@pytest.mark.contract("6")
def test_at_most_200_000_categories() -> None:
    """The limit itself is valid, one more is not."""
    assert len(Decoder().decode(body(wide(200_000)), bare_list=True).tree) == 200_000
    assert refusal(body(wide(200_001)), bare_list=True) == (
        "200001 categories; a catalog holds at most 200000"
    )


@pytest.mark.contract("6")
def test_the_limit_of_an_undocumented_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is the same as that of the documented form."""
    monkeypatch.setattr("publisher.core.parse_checked.MAX_CATEGORIES", 2)
    unknown = [{**ROW, "id": str(number), "colour": 1} for number in range(1, 4)]
    assert len(Decoder().decode(envelope(unknown[:2]), bare_list=False).tree) == 2
    assert refusal(envelope(unknown)) == "3 categories; a catalog holds at most 2"


@pytest.mark.contract("6")
def test_documented_fields_cause_no_warning() -> None:
    """Permission statuses, a total count, an empty page token."""
    row = {**ROW, "permission_statuses": ["AVAILABLE"]}
    data = {"categories": [row], "next_page_token": "", "total_count": 1}
    assert Decoder().decode(envelope([], data=data), bare_list=False).warnings == ()


@pytest.mark.contract("6")
def test_unknown_fields_around_the_list_cause_a_warning() -> None:
    """The envelope and its `data` may grow, as rows may; the warnings say where."""
    raw = envelope(GOOD, took_ms=3, data={"categories": GOOD, "cursor": ""})
    assert Decoder().decode(raw, bare_list=False).warnings == (
        "unknown fields in the envelope: 'took_ms'",
        "unknown fields in `data`: 'cursor'",
    )


@pytest.mark.contract("6")
@pytest.mark.parametrize("total", [0, 7])
def test_another_total_causes_a_warning(total: int) -> None:
    """A list of another length is accepted: no document promises the number."""
    data = {"categories": GOOD, "total_count": total}
    (warning,) = Decoder().decode(envelope([], data=data), bare_list=False).warnings
    assert warning == f"total_count is {total}, but the list has 1 categories"


@pytest.mark.contract("6")
@given(st.binary(max_size=300))
def test_any_bytes_are_a_snapshot_or_rejected(raw: bytes) -> None:
    """Decoding has no other result."""
    with contextlib.suppress(BadSnapshot):
        Decoder().decode(raw, bare_list=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "0", "1", "id", "x\0"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["code", "data", "categories", *FIELDS]), inner)
    ),
)


@pytest.mark.contract("6")
@given(JSON)
def test_any_json_is_a_snapshot_or_rejected(value: Any) -> None:
    """Whatever its shape."""
    with contextlib.suppress(BadSnapshot):
        Decoder().decode(orjson.dumps(value), bare_list=True)
