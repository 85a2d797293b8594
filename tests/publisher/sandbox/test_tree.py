"""Trees from files, valid or not, and as they are served."""

from pathlib import Path

import orjson
import pytest

from publisher.sandbox import BadOption, Row, SandboxOptions, read_tree
from tests.publisher.sandbox.caller import CATEGORIES, sandbox_caller
from tests.support.messages import whole
from tests.support.paths import SHARED_DATA


async def test_trees_need_not_be_valid() -> None:
    """Duplicates, orphans and cycles are served, so that a client can reject them."""
    tree = [
        Row("5", "5", "Own parent", is_leaf=False),
        Row("3", "4", "Orphan", is_leaf=True),
        Row("1", "0", "Home", is_leaf=False),
        Row("1", "0", "Home again", is_leaf=False),
        Row("2", "1", "Beds", is_leaf=True),
    ]
    async with sandbox_caller(SandboxOptions(trees=(tree,))) as caller:
        rows = (await caller.signed()).rows
        assert sorted(rows) == sorted(tree)
        assert rows[0] == tree[2]


@pytest.mark.parametrize(
    ("taxonomy", "counts"),
    [("whatnot", [336, 342]), ("shopify", [10_276, 10_308])],
)
async def test_real_histories_are_served_completely(taxonomy: str, counts: list[int]) -> None:
    """Every version of the real trees is served with all its rows, in order."""
    files = sorted((SHARED_DATA / taxonomy).glob("*.json"))
    if not files:
        pytest.skip(f"shared/data/{taxonomy} is not beside this checkout")
    trees = [read_tree(file) for file in files]
    async with sandbox_caller(SandboxOptions(trees=tuple(trees))) as caller:
        for tree in trees:
            rows = (await caller.signed()).rows
            assert sorted(rows) == sorted(tree)
            assert counts[0] <= len(rows) <= counts[1]
        assert caller.sandbox.api.requests[CATEGORIES] == len(files)


def test_files_hold_an_envelope_or_a_bare_list(tmp_path: Path) -> None:
    """Other fields are ignored, names are kept as they are."""
    rows = [
        {
            "id": "1",
            "parent_id": "0",
            "local_name": " Caf\u00e9\n",
            "is_leaf": True,
            "permission_statuses": ["AVAILABLE"],
        }
    ]
    bare, envelope = tmp_path / "bare.json", tmp_path / "envelope.json"
    bare.write_bytes(orjson.dumps(rows))
    envelope.write_bytes(
        orjson.dumps(
            {"code": 0, "message": "Success", "request_id": "1", "data": {"categories": rows}}
        )
    )
    assert read_tree(bare) == read_tree(envelope) == [Row("1", "0", " Caf\u00e9\n", is_leaf=True)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[", "is not JSON"),
        (b'"\xff"', "is not JSON"),
        (b"7", "neither a list of categories nor an envelope"),
        (b'{"code":105002,"data":null}', "neither a list of categories nor an envelope"),
        (b'{"data":{"categories":{}}}', "neither"),
        (b"[1]", "category 1: id has to be text"),
        (
            b'[{"id":1,"parent_id":"0","local_name":"","is_leaf":true}]',
            "category 1: id has to be text",
        ),
        (
            b'[{"id":"1","parent_id":"0","local_name":"","is_leaf":1}]',
            "category 1: is_leaf has to be true or false",
        ),
    ],
)
def test_wrong_files_are_one_clear_line(tmp_path: Path, content: bytes, expected: str) -> None:
    """The message names the file, the category and the mistake."""
    file = tmp_path / "tree.json"
    file.write_bytes(content)
    with pytest.raises(BadOption) as caught:
        read_tree(file)
    assert str(caught.value).startswith(f"tree {file}: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_one_clear_line(tmp_path: Path) -> None:
    """No such path ends in a traceback."""
    with pytest.raises(BadOption, match=whole("tree <any>/none.json: no such file")):
        read_tree(tmp_path / "none.json")
    with pytest.raises(BadOption, match=whole("tree <any>: is not a file")):
        read_tree(tmp_path)
