"""The fast parser accepts only valid answers, as the checked parser does."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from publisher.core import parse_checked, parse_fast
from publisher.core.model import MAX_CATEGORIES
from publisher.errors import BadSnapshot

STATUSES = ["AVAILABLE", "INVITE_ONLY", "NON_MAIN_CATEGORY", "PROHIBITED"]
ROW = {"id": "1", "parent_id": "0", "local_name": "Home", "is_leaf": True}
STATED = {**ROW, "permission_statuses": ["AVAILABLE", "INVITE_ONLY"]}
TEXTS = st.sampled_from(["0", "1", "2", "", "Home", " \n\xa0", "\0", "\\u0000", "\U0001f600", "é"])
VALUES: st.SearchStrategy[Any] = st.one_of(
    TEXTS, st.none(), st.booleans(), st.integers(-2, 9), st.floats(), st.just([])
)


@st.composite
def rows(draw: DrawFn) -> list[Any]:
    """Draw rows, most of them valid."""
    found = []
    for number in range(draw(st.integers(0, 4))):
        row: dict[str, Any] = {**ROW, "id": str(number + 1), "local_name": draw(TEXTS)}
        row |= draw(
            st.dictionaries(
                st.sampled_from([*ROW, "permission_statuses", "more"]), VALUES, max_size=1
            )
        )
        if draw(st.booleans()):
            row["permission_statuses"] = draw(st.lists(st.sampled_from([*STATUSES, "NEW"])))
        found.append(row)
    return found


@st.composite
def bodies(draw: DrawFn) -> bytes:
    """Draw an envelope or a bare list, perhaps with a mistake in it."""
    categories = draw(rows())
    if draw(st.booleans()):
        return orjson.dumps(categories)
    data: Any = {"categories": categories} | draw(
        st.dictionaries(
            st.sampled_from(["next_page_token", "total_count", "more"]), VALUES, max_size=1
        )
    )
    if draw(st.integers(0, 9)) == 0:
        data = categories
    envelope = {"code": 0, "message": "Success", "request_id": "1", "data": data}
    more = st.dictionaries(
        st.sampled_from(["code", "message", "request_id", "more"]), VALUES, max_size=1
    )
    return orjson.dumps(envelope | draw(more))


def check_agreement(body: bytes, *, bare_list: bool) -> None:
    """Assert that the parsers agree on `body`, unless the fast one declines it."""
    data = parse_fast.payload_of(body, bare_list=bare_list)
    fast = None if data is None else parse_fast.parse(data)
    try:
        tree, warnings = parse_checked.parse(body, bare_list=bare_list)
    except BadSnapshot:
        assert fast is None
        return
    if fast is not None:
        assert (fast, []) == (tree, warnings)
        assert list(fast) == list(tree)


@pytest.mark.contract("6")
@given(bodies(), st.booleans())
def test_the_two_parsers_agree(body: bytes, bare_list: bool) -> None:  # noqa: FBT001  drawn
    """Whatever rows and envelope contain."""
    check_agreement(body, bare_list=bare_list)


LIKE_STATUSES = [
    b',"permission_statuses":["AVAILABLE"]',
    b',"permission_statuses":["AVAILABLE"]},{',
    b',"permission_statuses":[]}]',
    b'"},{"id":"9',
    b"},{",
    b"\n",
]


@pytest.mark.contract("6")
@given(bodies(), st.sampled_from(LIKE_STATUSES), st.data())
def test_the_parsers_agree_on_text_that_resembles_statuses(
    body: bytes, put_in: bytes, data: st.DataObject
) -> None:
    """Wherever it is: within a text, between members, after the list."""
    at = data.draw(st.integers(0, len(body)))
    check_agreement(body[:at] + put_in + body[at:], bare_list=True)


def documented(*categories: Any, **data: Any) -> bytes:
    """Return an answer of the documented form."""
    return orjson.dumps(
        {
            "code": 0,
            "message": "Success",
            "request_id": "1",
            "data": {"categories": categories, **data},
        }
    )


@pytest.mark.parametrize(
    "body",
    [
        documented(ROW),
        documented(ROW | {"permission_statuses": ["AVAILABLE", "INVITE_ONLY"]}),
        documented(ROW | {"permission_statuses": []}, ROW | {"id": "2"}),
        documented(ROW, ROW | {"id": "2", "permission_statuses": ["NEW"]}, next_page_token=""),
        orjson.dumps([ROW | {"permission_statuses": ["AVAILABLE"]}]),
        documented(ROW, total_count=1),
        documented(ROW, next_page_token=""),
        orjson.dumps([ROW]),
        json.dumps([ROW | {"permission_statuses": ["A", "B"]}, ROW | {"id": "2"}]).encode(),
        json.dumps({"code": 0, "data": {"categories": [STATED, STATED | {"id": "2"}]}}).encode(),
        json.dumps([STATED, STATED | {"id": "2"}], indent=2).encode(),
        json.dumps([ROW | {"permission_statuses": []}], indent="\r\t").encode(),
    ],
)
def test_the_documented_form_is_parsed(body: bytes) -> None:
    """Otherwise the fast parser would be useless."""
    data = parse_fast.payload_of(body, bare_list=True)
    assert data is not None
    assert parse_fast.parse(data) is not None


@pytest.mark.contract("6")
@pytest.mark.parametrize(
    "body",
    [
        documented(ROW, permission_statuses=["AVAILABLE"]),
        orjson.dumps([STATED]).replace(b',"permission', b',\f"permission'),
        documented(ROW | {"permission_statuses": "AVAILABLE"}),
        documented({"permission_statuses": ["AVAILABLE"], **ROW}),
        documented(ROW | {"permission_statuses": ["AVAILABLE"], "more": 1}),
    ],
)
def test_text_that_only_resembles_statuses_is_left(body: bytes) -> None:
    """In another location, or not a list: it is not cut out and forgotten."""
    data = parse_fast.payload_of(body, bare_list=True)
    assert data is not None
    assert parse_fast.parse(data) is None


@pytest.mark.contract("6")
@pytest.mark.parametrize("end", [b"},{", b"}]"])
def test_statuses_within_a_text_are_left(end: bytes) -> None:
    """Without them it would be a valid list; with them it is not even JSON."""
    body = orjson.dumps([ROW])
    assert parse_fast.parse(body.replace(b"Home", b"Ho" + end + b"me")) is not None
    looks_like = b'Ho,"permission_statuses":["AVAILABLE"]' + end + b"me"
    assert parse_fast.parse(body.replace(b"Home", looks_like)) is None


@pytest.mark.contract("6")
@pytest.mark.parametrize("bare_list", [False, True])
def test_a_list_within_an_envelope_is_left(bare_list: bool) -> None:  # noqa: FBT001  drawn
    """The checked parser rejects it: a list must be bare, or `data.categories`."""
    data = parse_fast.payload_of(orjson.dumps({"code": 0, "data": [ROW]}), bare_list=bare_list)
    assert data is not None
    assert parse_fast.parse(data) is None


@pytest.mark.contract("6")
def test_a_list_over_the_limit_is_left() -> None:
    """The checked parser gets the list, and reports its length."""
    data = parse_fast.payload_of(documented(*[ROW] * (MAX_CATEGORIES + 1)), bare_list=False)
    assert data is not None
    assert parse_fast.parse(data) is None


@pytest.mark.contract("5.3")
def test_the_payload_is_data_alone() -> None:
    """Each answer has a request_id of its own, which makes it no other payload."""
    first, second = (
        documented(ROW),
        documented(ROW).replace(b'"request_id":"1"', b'"request_id":"2"'),
    )
    assert first != second
    payloads = [parse_fast.payload_of(body, bare_list=False) for body in (first, second)]
    assert payloads[0] is not None
    assert payloads[1] is not None
    assert bytes(payloads[0]) == bytes(payloads[1])
