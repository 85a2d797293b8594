"""From answers to snapshots: only complete trees, and none is parsed twice."""

from typing import Any

import orjson
import pytest
from hypothesis import given

from publisher.core import digest, parse_checked, parse_fast, snapshot
from publisher.core.model import Category
from publisher.core.snapshot import Decoder
from publisher.errors import BadSnapshot
from tests.support.messages import whole
from tests.support.trees import body, forests, rows_of, tree

ROW: dict[str, Any] = {"id": "1", "parent_id": "0", "local_name": "Home", "is_leaf": True}
CHILD: dict[str, Any] = {**ROW, "id": "2", "parent_id": "1"}
UNKNOWN: dict[str, Any] = {**ROW, "colour": 1}


def envelope(*rows: Any, **more: Any) -> bytes:
    fields = {"code": 0, "message": "Success", "request_id": "1", **more}
    return orjson.dumps({**fields, "data": {"categories": rows}})


@pytest.mark.contract("2")
@given(forests())
def test_a_valid_answer_gives_its_tree(categories: dict[str, Category]) -> None:
    """In the envelope or, where allowed, bare: the same categories, values unchanged."""
    for bare_list, raw in ((False, envelope(*rows_of(categories))), (True, body(categories))):
        found = Decoder().decode(raw, bare_list=bare_list)
        assert found.tree == categories
        assert found.digest == digest.of(categories.values())


@pytest.mark.contract("6")
@pytest.mark.contract("5.5")
@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (envelope({**ROW, "parent_id": "9"}), "category '1' has the parent '9', which is not in the list: a branch is missing"),
        (envelope({**ROW, "parent_id": ""}), "category '1' has the parent '', which is not in the list: a branch is missing"),
        (envelope(*rows_of(tree(("1", "8"), ("2", "9"), ("3", "9")))), "category '1' has the parent '8', which is not in the list (and 2 more): a branch is missing"),
        (envelope({**ROW, "parent_id": "1"}), "category '1' is below no root: its ancestors form a cycle"),
        (envelope(*rows_of(tree(("1", "0"), ("2", "3"), ("3", "2")))), "category '2' is below no root: its ancestors form a cycle (and 1 more)"),
    ],
)  # fmt: skip
def test_a_snapshot_that_is_no_forest_is_rejected(raw: bytes, message: str) -> None:
    """A parent is missing, or there is a cycle."""
    with pytest.raises(BadSnapshot) as caught:
        Decoder().decode(raw, bare_list=False)
    assert str(caught.value) == message


@pytest.mark.contract("6")
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
    """These are unusual, but no reason to have no tree."""
    assert Decoder().decode(envelope(*rows), bare_list=False).warnings == (warning,)


@pytest.mark.contract("2")
def test_any_text_but_zero_is_an_id() -> None:
    """An id need not be a number, nor have a certain order."""
    categories = tree(("-", "0"), ("00", "-"), ("é", "00"), ("a b", "0"))
    assert Decoder().decode(body(categories), bare_list=True).tree == categories


@pytest.mark.contract("2")
def test_names_stay_as_they_are() -> None:
    """Blanks, no-break spaces and line ends belong to the name."""
    name = " \u00a0Käse\n\u202e<b> "
    assert (
        Decoder()
        .decode(envelope({**ROW, "local_name": name}), bare_list=False)
        .tree["1"]
        .local_name
        == name
    )


@pytest.mark.parametrize("bare_list", [False, True])
def test_the_documented_form_is_parsed_fast(
    monkeypatch: pytest.MonkeyPatch,
    bare_list: bool,  # noqa: FBT001  drawn
) -> None:
    """No field is checked in Python."""
    monkeypatch.setattr(parse_checked, "parse", _forbidden)
    body = orjson.dumps([ROW]) if bare_list else envelope(ROW)
    assert Decoder().decode(body, bare_list=bare_list).tree["1"].fields() == ROW


@pytest.mark.contract("6")
def test_a_bare_list_must_be_allowed() -> None:
    """By the fast parser too."""
    with pytest.raises(BadSnapshot):
        Decoder().decode(orjson.dumps([ROW]), bare_list=False)


@pytest.mark.contract("5.3")
def test_the_same_answer_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the envelope's `data` counts: each answer has a request_id of its own."""
    decoder = Decoder()
    first = decoder.decode(envelope(ROW), bare_list=False)
    monkeypatch.setattr(parse_fast, "parse", _forbidden)
    monkeypatch.setattr(parse_checked, "parse", _forbidden)
    assert decoder.decode(envelope(ROW, request_id="2"), bare_list=False) is first


def test_the_same_tree_is_not_validated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in another order: tree warnings stay, the answer's warnings are new."""
    decoder = Decoder()
    first = decoder.decode(envelope(UNKNOWN, CHILD), bare_list=False)
    assert (len(first.answer_warnings), len(first.tree_warnings)) == (1, 1)
    monkeypatch.setattr(snapshot, "depths", _forbidden)
    second = decoder.decode(envelope(CHILD, {**ROW, "size": 2}), bare_list=False)
    assert second.answer_warnings == ("unknown fields in a category: 'size'",)
    assert second.tree_warnings == first.tree_warnings == ("leaves with children: '1'",)


@pytest.mark.contract("5.3")
@pytest.mark.parametrize(("row", "more"), [(ROW, {}), (UNKNOWN, {}), (ROW, {"took_ms": 3})])
def test_another_tree_is_another_snapshot(row: dict[str, Any], more: dict[str, Any]) -> None:
    """Of the documented form or not, the next answer is parsed and validated."""
    decoder = Decoder()
    decoder.decode(envelope(row, **more), bare_list=False)
    for name in ("Garden", "Toys"):
        found = decoder.decode(envelope({**row, "local_name": name}, **more), bare_list=False)
        assert found.tree["1"].local_name == name
    with pytest.raises(
        BadSnapshot,
        match=whole(
            "category '1' has the parent '9', which is not in the list: a branch is missing"
        ),
    ):
        decoder.decode(envelope({**row, "parent_id": "9"}, **more), bare_list=False)


def _forbidden(*_: Any, **__: Any) -> Any:
    raise AssertionError("this was not to be called")
