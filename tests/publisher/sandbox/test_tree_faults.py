"""Faults of the tree and of the body: what the client gets."""

import zlib

import aiohttp
import orjson
import pytest

from publisher.sandbox import Fault, Row, SandboxOptions
from tests.publisher.sandbox.caller import Caller, faulty, sandbox_caller


async def test_branch_is_a_smaller_valid_tree() -> None:
    """No parent is missing, but more than a guard accepts (contract, 6)."""
    async with sandbox_caller(faulty("branch@1", categories=2_700)) as caller:
        smaller, complete = (await caller.signed()).rows, (await caller.signed()).rows
        ids = {row[0] for row in smaller}
        assert {row[1] for row in smaller} <= ids | {"0"}
        assert len(complete) == 2_700
        assert 270 < len(complete) - len(smaller) <= 1_350
        assert [row for row in complete if row[0] in ids] == smaller


@pytest.mark.parametrize("spec", ["branch", "orphan"])
async def test_tree_faults_work_on_any_tree(spec: str) -> None:
    """A cycle, a single category and an empty list are answered too."""
    cycle = [
        Row("1", "2", "One", is_leaf=False),
        Row("2", "1", "Two", is_leaf=False),
        Row("3", "3", "Three", is_leaf=False),
        Row("4", "0", "Four", is_leaf=True),
    ]
    for tree in (cycle, cycle[-1:], []):
        faults = (Fault.parse(spec),)
        async with sandbox_caller(SandboxOptions(trees=(tree,), faults=faults)) as caller:
            assert len((await caller.signed()).rows) <= len(tree)


async def test_orphan_lacks_one_parent() -> None:
    """One category is missing, its children are present."""
    async with sandbox_caller(faulty("orphan")) as caller:
        rows = (await caller.signed()).rows
        ids = {row[0] for row in rows}
        assert len(rows) == 599
        assert len({row[1] for row in rows} - ids - {"0"}) == 1


async def test_empty_null_data_and_next_page() -> None:
    """These answers have code 0 but are no complete list."""
    async with sandbox_caller(faulty("empty@1", "null-data@2", "next-page@3")) as caller:
        assert (await caller.signed()).json["data"] == {"categories": []}
        assert (await caller.signed()).json["data"] is None
        data = (await caller.signed()).json["data"]
        assert data["next_page_token"]
        assert len(data["categories"]) == 600
        assert data["total_count"] == 601


async def test_a_bomb_is_small_until_it_is_inflated() -> None:
    """It is well-formed gzip and JSON."""
    async with sandbox_caller(faulty("bomb=20")) as caller:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            packed = Caller(caller.sandbox, session)
            reply = await packed.signed(headers={"Accept-Encoding": "identity"})
        assert reply.headers["Content-Encoding"] == "gzip"
        assert len(reply.body) < 200_000
        opened = zlib.decompress(reply.body, wbits=31)
        assert len(opened) > 20 * 1024 * 1024
        assert orjson.loads(opened)["data"] == {"categories": []}


async def test_faults_may_be_combined() -> None:
    """One fault of the tree and one of the transfer apply to the same answer."""
    async with sandbox_caller(faulty("orphan", "slow=0.1", "truncate@2")) as caller:
        assert len((await caller.signed()).rows) == 599
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads((await caller.signed()).body)
