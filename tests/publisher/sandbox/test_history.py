from pathlib import Path

import aiohttp
import orjson
import pytest

from publisher.sandbox import BadOption, Fault, Row, SandboxOptions, Tree, read_tree
from tests.publisher.sandbox.caller import CATEGORIES, calling
from tests.support.paths import SHARED_DATA

FIRST = [Row("1", "0", "Home", is_leaf=False), Row("2", "1", "Beds", is_leaf=True)]
SECOND = [*FIRST, Row("3", "1", "Lamps", is_leaf=True)]
THIRD = [Row("9", "0", "All new", is_leaf=True)]
TREES: tuple[Tree, ...] = (FIRST, SECOND, THIRD)


async def test_trees_come_in_order_and_the_last_one_stays() -> None:
    """One for each whole answer."""
    async with calling(SandboxOptions(trees=TREES)) as caller:
        for tree in (FIRST, SECOND, THIRD, THIRD, THIRD):
            assert (await caller.signed()).rows == tree
            assert caller.sandbox.served == tree
        look = (await caller.get("/sandbox", {})).json
        assert look["served"] == {"index": 2, "categories": 1}


async def test_only_a_whole_answer_counts() -> None:
    """Refusals, damage and broken transfers bring the same tree again."""
    faults = ("code=36009003", "http=500", "truncate", "empty", "null-data", "branch", "next-page")
    specs = [f"{fault}@{number}" for number, fault in enumerate(faults, 2)]
    options = SandboxOptions(trees=TREES, faults=tuple(Fault.parse(spec) for spec in specs))
    async with calling(options) as caller:
        assert (await caller.signed(secret="another")).code == 106001
        for _ in faults:
            await caller.signed()
        assert (await caller.signed()).rows == FIRST
        assert (await caller.signed()).rows == SECOND


async def test_who_leaves_before_the_end_has_not_been_answered() -> None:
    """A client that times out finds the same tree when it comes back."""
    options = SandboxOptions(trees=TREES, faults=(Fault.parse("slow=60@1"), Fault.parse("cut@2")))
    async with calling(options) as caller:
        caller.timeout = 0.2
        with pytest.raises(TimeoutError):
            await caller.signed()
        caller.timeout = 30
        with pytest.raises(aiohttp.ClientError):
            await caller.signed()
        assert (await caller.signed()).rows == FIRST


async def test_on_command_nothing_else_advances() -> None:
    """By POST /sandbox/next or from within."""
    async with calling(SandboxOptions(trees=TREES, advance="command")) as caller:
        assert (await caller.signed()).rows == FIRST
        assert (await caller.signed()).rows == FIRST
        await caller.get("/sandbox/next", {}, method="POST")
        assert (await caller.signed()).rows == SECOND
        caller.sandbox.next()
        caller.sandbox.next()
        assert (await caller.signed()).rows == THIRD


async def test_a_command_skips_a_tree_between_polls() -> None:
    """`next` works in both modes."""
    async with calling(SandboxOptions(trees=TREES)) as caller:
        caller.sandbox.next()
        assert (await caller.signed()).rows == SECOND
        assert (await caller.signed()).rows == THIRD


async def test_a_living_tree_goes_round_by_round() -> None:
    """The same seed is the same history; without files there is always a next round."""
    histories = []
    for seed in (1, 1, 2):
        async with calling(SandboxOptions(categories=200, seed=seed)) as caller:
            histories.append([(await caller.signed()).rows for _ in range(5)])
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]
    assert len({orjson.dumps(rows) for rows in histories[0]}) == 5


async def test_files_need_not_hold_valid_trees() -> None:
    """Doubles, orphans and cycles are served as they are, so that a client can refuse them."""
    tree = [
        Row("5", "5", "Own parent", is_leaf=False),
        Row("3", "4", "Orphan", is_leaf=True),
        Row("1", "0", "Home", is_leaf=False),
        Row("1", "0", "Home again", is_leaf=False),
        Row("2", "1", "Beds", is_leaf=True),
    ]
    async with calling(SandboxOptions(trees=(tree,))) as caller:
        rows = (await caller.signed()).rows
        assert sorted(rows) == sorted(tree)
        assert rows[0] == tree[2]


async def test_an_empty_tree_can_be_served() -> None:
    """A file may hold an empty list."""
    async with calling(SandboxOptions(trees=([],))) as caller:
        assert (await caller.signed()).rows == []


@pytest.mark.parametrize(
    ("taxonomy", "counts"),
    [("whatnot", [336, 342]), ("shopify", [10_276, 10_308])],
)
async def test_real_histories_come_through_whole(taxonomy: str, counts: list[int]) -> None:
    """Every version of the real trees is served with all its rows, in its turn."""
    files = sorted((SHARED_DATA / taxonomy).glob("*.json"))
    if not files:
        pytest.skip(f"shared/data/{taxonomy} is not beside this checkout")
    trees = [read_tree(file) for file in files]
    async with calling(SandboxOptions(trees=tuple(trees))) as caller:
        for tree in trees:
            rows = (await caller.signed()).rows
            assert sorted(rows) == sorted(tree)
            assert counts[0] <= len(rows) <= counts[1]
        assert caller.sandbox.requests[CATEGORIES] == len(files)


def test_files_hold_an_envelope_or_a_bare_list(tmp_path: Path) -> None:
    """Other fields are passed over, names are taken as they are."""
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
    ("content", "says"),
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
def test_wrong_files_are_one_clear_line(tmp_path: Path, content: bytes, says: str) -> None:
    """The file, the place in it, and what is wrong."""
    file = tmp_path / "tree.json"
    file.write_bytes(content)
    with pytest.raises(BadOption) as caught:
        read_tree(file)
    assert str(caught.value).startswith(f"tree {file}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_one_clear_line(tmp_path: Path) -> None:
    """Neither is a traceback."""
    with pytest.raises(BadOption, match="no such file"):
        read_tree(tmp_path / "none.json")
    with pytest.raises(BadOption, match="is not a file"):
        read_tree(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("categories", 0),
        ("rate_limit", 0),
        ("rate_limit", -1),
        ("rate_limit", float("nan")),
        ("token_life", -1),
        ("shops", ()),
    ],
)
def test_options_out_of_range_are_refused(name: str, value: object) -> None:
    """The message names the option."""
    with pytest.raises(BadOption, match=name):
        SandboxOptions(**{name: value})  # type: ignore[arg-type]
