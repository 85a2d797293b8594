"""The quick way of decoding takes only what is sound, and takes it as the exact way does."""

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
    """Draw rows, most of them sound."""
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
    """Draw an envelope or a bare list, perhaps with something odd in it."""
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
    odd = st.dictionaries(
        st.sampled_from(["code", "message", "request_id", "more"]), VALUES, max_size=1
    )
    return orjson.dumps(envelope | draw(odd))


def check_agreement(body: bytes, *, bare_list: bool) -> None:
    """Check: what the quick way takes, the exact way takes without a word, and as the same rows."""
    data = parse_fast.payload_of(body, bare_list=bare_list)
    quick = None if data is None else parse_fast.parse(data)
    try:
        tree, tolerated = parse_checked.parse(body, bare_list=bare_list)
    except BadSnapshot:
        assert quick is None
        return
    if quick is not None:
        assert (quick, []) == (tree, tolerated)
        assert list(quick) == list(tree)


@given(bodies(), st.booleans())
def test_the_two_ways_agree(body: bytes, bare_list: bool) -> None:  # noqa: FBT001  drawn
    """Whatever rows and envelope hold."""
    check_agreement(body, bare_list=bare_list)


LIKE_STATUSES = [
    b',"permission_statuses":["AVAILABLE"]',
    b',"permission_statuses":["AVAILABLE"]},{',
    b',"permission_statuses":[]}]',
    b'"},{"id":"9',
    b"},{",
    b"\n",
]


@given(bodies(), st.sampled_from(LIKE_STATUSES), st.data())
def test_they_agree_on_what_looks_like_statuses(
    body: bytes, put_in: bytes, data: st.DataObject
) -> None:
    """Wherever it stands: within a text, between members, behind the list."""
    place = data.draw(st.integers(0, len(body)))
    check_agreement(body[:place] + put_in + body[place:], bare_list=True)


def sound(*categories: Any, **data: Any) -> bytes:
    """Return the documented answer."""
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
        sound(ROW),
        sound(ROW | {"permission_statuses": ["AVAILABLE", "INVITE_ONLY"]}),
        sound(ROW | {"permission_statuses": []}, ROW | {"id": "2"}),
        sound(ROW, ROW | {"id": "2", "permission_statuses": ["NEW"]}, next_page_token=""),
        orjson.dumps([ROW | {"permission_statuses": ["AVAILABLE"]}]),
        sound(ROW, total_count=1),
        sound(ROW, next_page_token=""),
        orjson.dumps([ROW]),
        json.dumps([ROW | {"permission_statuses": ["A", "B"]}, ROW | {"id": "2"}]).encode(),
        json.dumps({"code": 0, "data": {"categories": [STATED, STATED | {"id": "2"}]}}).encode(),
        json.dumps([STATED, STATED | {"id": "2"}], indent=2).encode(),
        json.dumps([ROW | {"permission_statuses": []}], indent="\r\t").encode(),
    ],
)
def test_what_is_documented_is_taken(body: bytes) -> None:
    """Else the quick way would be of no use."""
    data = parse_fast.payload_of(body, bare_list=True)
    assert data is not None
    assert parse_fast.parse(data) is not None


@pytest.mark.parametrize(
    "body",
    [
        sound(ROW, permission_statuses=["AVAILABLE"]),
        orjson.dumps([STATED]).replace(b',"permission', b',\f"permission'),
        sound(ROW | {"permission_statuses": "AVAILABLE"}),
        sound({"permission_statuses": ["AVAILABLE"], **ROW}),
        sound(ROW | {"permission_statuses": ["AVAILABLE"], "more": 1}),
    ],
)
def test_what_only_looks_like_statuses_is_left(body: bytes) -> None:
    """Elsewhere, or no list: nothing of it is cut out and forgotten."""
    data = parse_fast.payload_of(body, bare_list=True)
    assert data is not None
    assert parse_fast.parse(data) is None


@pytest.mark.parametrize("end", [b"},{", b"}]"])
def test_statuses_within_a_text_are_left(end: bytes) -> None:
    """Without them it would be a sound list; with them it is no JSON at all."""
    body = orjson.dumps([ROW])
    assert parse_fast.parse(body.replace(b"Home", b"Ho" + end + b"me")) is not None
    looks_like = b'Ho,"permission_statuses":["AVAILABLE"]' + end + b"me"
    assert parse_fast.parse(body.replace(b"Home", looks_like)) is None


@pytest.mark.parametrize("bare_list", [False, True])
def test_a_list_within_an_envelope_is_left(bare_list: bool) -> None:  # noqa: FBT001  drawn
    """The exact way refuses it: a list may stand alone, or as `data.categories`."""
    data = parse_fast.payload_of(orjson.dumps({"code": 0, "data": [ROW]}), bare_list=bare_list)
    assert data is not None
    assert parse_fast.parse(data) is None


def test_a_list_over_the_limit_is_left() -> None:
    """The exact way says how long it is."""
    data = parse_fast.payload_of(sound(*[ROW] * (MAX_CATEGORIES + 1)), bare_list=False)
    assert data is not None
    assert parse_fast.parse(data) is None


def test_the_fingerprint_is_of_data_alone() -> None:
    """Each answer has a request_id of its own."""
    first, second = sound(ROW), sound(ROW).replace(b'"request_id":"1"', b'"request_id":"2"')
    marks = {
        parse_fast.fingerprint(data)
        for body in (first, second)
        if (data := parse_fast.payload_of(body, bare_list=False)) is not None
    }
    assert first != second
    assert len(marks) == 1
