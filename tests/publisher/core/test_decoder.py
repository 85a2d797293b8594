"""What a decoder remembers of the last answer, and that it never gives that for another one."""

from typing import Any

import orjson
import pytest

from publisher.core import parse_checked, parse_fast, snapshot
from publisher.core.snapshot import Decoder
from publisher.errors import BadSnapshot

ROW: dict[str, Any] = {"id": "1", "parent_id": "0", "local_name": "Home", "is_leaf": True}
CHILD: dict[str, Any] = {**ROW, "id": "2", "parent_id": "1"}
STRANGE: dict[str, Any] = {**ROW, "colour": 1}


def envelope(*rows: Any, **more: Any) -> bytes:
    told = {"code": 0, "message": "Success", "request_id": "1", **more}
    return orjson.dumps({**told, "data": {"categories": rows}})


def bare(*rows: Any) -> bytes:
    return orjson.dumps(rows)


@pytest.mark.parametrize("bare_list", [False, True])
def test_the_documented_form_takes_the_quick_way(
    monkeypatch: pytest.MonkeyPatch,
    bare_list: bool,  # noqa: FBT001  drawn
) -> None:
    """Nothing looks at each field in Python."""
    monkeypatch.setattr(parse_checked, "parse", _forbidden)
    body = bare(ROW) if bare_list else envelope(ROW)
    assert Decoder().decode(body, bare_list=bare_list).tree["1"].fields() == ROW


def test_a_list_is_no_envelope() -> None:
    """A bare list is taken where it may be one only, by the quick way too."""
    with pytest.raises(BadSnapshot):
        Decoder().decode(bare(ROW), bare_list=False)


def test_the_same_words_are_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an envelope only `data` counts: each answer has another request_id."""
    decoder = Decoder()
    first = decoder.decode(envelope(ROW), bare_list=False)
    monkeypatch.setattr(parse_fast, "parse", _forbidden)
    monkeypatch.setattr(parse_checked, "parse", _forbidden)
    assert decoder.decode(envelope(ROW, request_id="2"), bare_list=False) is first


def test_the_same_tree_is_not_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in another order: what was tolerated in the tree still is, what was in the words not."""
    decoder = Decoder()
    first = decoder.decode(envelope(STRANGE, CHILD), bare_list=False)
    assert (len(first.answer_warnings), len(first.tree_warnings)) == (1, 1)
    monkeypatch.setattr(snapshot, "_parents", _forbidden)
    second = decoder.decode(envelope(CHILD, {**ROW, "size": 2}), bare_list=False)
    assert second.answer_warnings == ("unknown fields in a category: 'size'",)
    assert second.tree_warnings == first.tree_warnings == ("leaves with children: '1'",)


@pytest.mark.parametrize(("row", "more"), [(ROW, {}), (STRANGE, {}), (ROW, {"took_ms": 3})])
def test_another_tree_is_another_snapshot(row: dict[str, Any], more: dict[str, Any]) -> None:
    """As documented or not, what comes next is looked at."""
    decoder = Decoder()
    decoder.decode(envelope(row, **more), bare_list=False)
    for name in ("Garden", "Toys"):
        found = decoder.decode(envelope({**row, "local_name": name}, **more), bare_list=False)
        assert found.tree["1"].local_name == name
    with pytest.raises(BadSnapshot, match="a branch is missing"):
        decoder.decode(envelope({**row, "parent_id": "9"}, **more), bare_list=False)


def _forbidden(*_: Any, **__: Any) -> Any:
    raise AssertionError("this was not to be called")
