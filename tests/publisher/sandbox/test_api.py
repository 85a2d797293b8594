"""The endpoints: TikTok's answers, the order of the trees, and /sandbox."""

import asyncio
from itertools import islice

import aiohttp
import orjson
import pytest

from publisher.sandbox import Fault, Row, SandboxOptions, SandboxShop, Tree
from publisher.sandbox.synthetic import mutating_trees
from tests.publisher.sandbox.caller import CATEGORIES, SHOPS, Clock, sandbox_caller

SMALL = SandboxOptions(categories=60)
FIRST = [Row("1", "0", "Home", is_leaf=False), Row("2", "1", "Beds", is_leaf=True)]
SECOND = [*FIRST, Row("3", "1", "Lamps", is_leaf=True)]
THIRD = [Row("9", "0", "All new", is_leaf=True)]
TREES: tuple[Tree, ...] = (FIRST, SECOND, THIRD)


async def test_categories_are_sent_as_tiktok_sends_them() -> None:
    """The envelope is documented; rows are breadth-first, ids ascend within a level."""
    async with sandbox_caller(SMALL) as caller:
        reply = await caller.signed()
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
        assert list(reply.json) == ["code", "message", "request_id", "data"]
        assert (reply.code, reply.message) == (0, "Success")
        assert list(reply.json["data"]) == ["categories"]
        for row in reply.json["data"]["categories"]:
            assert list(row) == [
                "id",
                "parent_id",
                "local_name",
                "is_leaf",
                "permission_statuses",
            ]
            assert set(row["permission_statuses"]) <= {
                "AVAILABLE",
                "INVITE_ONLY",
                "NON_MAIN_CATEGORY",
            }
        levels: dict[str, int] = {"0": 0}
        order = []
        for id_, parent, _, _ in reply.rows:
            levels[id_] = levels[parent] + 1
            order.append((levels[id_], int(id_)))
        assert order == sorted(order)
        assert reply.rows == caller.sandbox.api.served


async def test_only_the_request_id_of_equal_answers_differs() -> None:
    """The same tree has the same `data`, byte for byte; request ids differ."""
    async with sandbox_caller(SandboxOptions(categories=60, advance="command")) as caller:
        first, second = await caller.signed(), await caller.signed()
        assert first.json["request_id"] != second.json["request_id"]
        assert first.body.split(b'"data":')[1] == second.body.split(b'"data":')[1]


async def test_shops_are_listed_with_their_ciphers() -> None:
    """Get Authorized Shops returns all of the seller's shops."""
    shops = (
        SandboxShop(),
        SandboxShop(id="2", name="Zwei", region="DE", cipher="other", code="DE2"),
    )
    async with sandbox_caller(SandboxOptions(shops=shops, categories=60)) as caller:
        reply = await caller.signed(SHOPS)
        assert reply.json["data"]["shops"][1] == {
            "id": "2",
            "name": "Zwei",
            "region": "DE",
            "seller_type": "LOCAL",
            "cipher": "other",
            "code": "DE2",
        }
        assert (await caller.signed(query={"shop_cipher": "other"})).code == 0


async def test_other_paths_versions_and_methods_get_an_envelope_too() -> None:
    """404, 36009014 and 405 are JSON too."""
    async with sandbox_caller(SMALL) as caller:
        for path, method, status, code in (
            ("/", "GET", 404, 36009009),
            ("/product/202309/categories/recommend", "GET", 404, 36009009),
            ("/product/202212/categories", "GET", 400, 36009014),
            ("/authorization/202312/shops", "GET", 400, 36009014),
            (CATEGORIES, "POST", 405, 36009010),
            (SHOPS, "PUT", 405, 36009010),
            ("/api/v2/token/get", "POST", 405, 36009010),
            ("/api/v2/token/refresh", "DELETE", 405, 36009010),
        ):
            reply = await caller.get(path, {}, method=method)
            assert (reply.status, reply.code) == (status, code), path
        assert (await caller.get(CATEGORIES, {}, method="HEAD")).status == 405


async def test_a_large_body_is_not_read() -> None:
    """A request's body is read up to a limit; the error is an envelope."""
    async with sandbox_caller(SMALL) as caller:
        query = {
            "app_key": caller.sandbox.options.app_key,
            "timestamp": str(int(caller.sandbox.options.clock())),
            "sign": "x",
        }
        url = caller.sandbox.url + CATEGORIES
        async with caller.session.get(url, params=query, data=b"x" * 100_000) as answer:
            assert answer.status == 413
            assert (await answer.json())["code"] == 36009004


async def test_the_date_header_is_the_sandboxs_clock() -> None:
    """A client can see in the Date header how far its own clock is off."""
    async with sandbox_caller(SandboxOptions(clock=Clock(0.0), categories=60)) as caller:
        reply = await caller.get("/", {})
        assert reply.headers["Date"] == "Thu, 01 Jan 1970 00:00:00 GMT"


async def test_the_sandbox_shows_its_state() -> None:
    """GET /sandbox shows requests by path, the current tree and the one served last."""
    async with sandbox_caller(SandboxOptions(categories=60, advance="command")) as caller:
        await caller.get("/nowhere", {})
        look = (await caller.get("/sandbox", {})).json
        assert (look["index"], look["served"]) == (0, None)
        await caller.signed()
        look = (await caller.get("/sandbox/next", {}, method="POST")).json
        assert (look["index"], look["served"]) == (1, {"index": 0, "categories": 60})
        assert look["requests"] == {"other": 1, CATEGORIES: 1, "/sandbox": 1, "/sandbox/next": 1}
        assert caller.sandbox.api.requests[CATEGORIES] == 1


async def test_concurrent_callers_skip_no_tree() -> None:
    """Overlapping requests may get the same tree, but no tree is skipped."""
    trees = [sorted(tree) for tree in islice(mutating_trees(500, 1), 9)]
    async with sandbox_caller(SandboxOptions(categories=500)) as caller:
        replies = await asyncio.gather(*(caller.signed() for _ in range(8)))
        served = {trees.index(sorted(map(Row._make, reply.rows))) for reply in replies}
        assert served == set(range(len(served)))
        after = sorted(map(Row._make, (await caller.signed()).rows))
        assert trees.index(after) == len(served)


async def test_trees_come_in_order_and_the_last_one_stays() -> None:
    """Each complete answer is followed by the next tree; the last one stays."""
    async with sandbox_caller(SandboxOptions(trees=TREES)) as caller:
        for tree in (FIRST, SECOND, THIRD, THIRD, THIRD):
            assert (await caller.signed()).rows == tree
            assert caller.sandbox.api.served == tree
        look = (await caller.get("/sandbox", {})).json
        assert look["served"] == {"index": 2, "categories": 1}


async def test_only_a_complete_answer_advances() -> None:
    """After errors, faulty trees and broken transfers the same tree comes again."""
    faults = ("code=36009003", "http=500", "truncate", "empty", "null-data", "branch", "next-page")
    specs = [f"{fault}@{number}" for number, fault in enumerate(faults, 2)]
    options = SandboxOptions(trees=TREES, faults=tuple(Fault.parse(spec) for spec in specs))
    async with sandbox_caller(options) as caller:
        assert (await caller.signed(secret="another")).code == 106001
        for _ in faults:
            await caller.signed()
        assert (await caller.signed()).rows == FIRST
        assert (await caller.signed()).rows == SECOND


async def test_a_client_that_disconnects_gets_the_same_tree_again() -> None:
    """After a time-out or a broken connection the same tree comes again."""
    options = SandboxOptions(trees=TREES, faults=(Fault.parse("slow=60@1"), Fault.parse("cut@2")))
    async with sandbox_caller(options) as caller:
        caller.timeout = 0.2
        with pytest.raises(TimeoutError):
            await caller.signed()
        caller.timeout = 30
        with pytest.raises(aiohttp.ClientError):
            await caller.signed()
        assert (await caller.signed()).rows == FIRST


async def test_with_advance_command_only_commands_advance() -> None:
    """The next tree comes by POST /sandbox/next or Sandbox.next()."""
    async with sandbox_caller(SandboxOptions(trees=TREES, advance="command")) as caller:
        assert (await caller.signed()).rows == FIRST
        assert (await caller.signed()).rows == FIRST
        await caller.get("/sandbox/next", {}, method="POST")
        assert (await caller.signed()).rows == SECOND
        caller.sandbox.api.trees.advance()
        caller.sandbox.api.trees.advance()
        assert (await caller.signed()).rows == THIRD


async def test_a_command_skips_a_tree_between_polls() -> None:
    """`next` works with `advance="poll"` too."""
    async with sandbox_caller(SandboxOptions(trees=TREES)) as caller:
        caller.sandbox.api.trees.advance()
        assert (await caller.signed()).rows == SECOND
        assert (await caller.signed()).rows == THIRD


async def test_a_mutating_tree_changes_with_each_poll() -> None:
    """The same seed gives the same history; without files there is always a next tree."""
    histories = []
    for seed in (1, 1, 2):
        async with sandbox_caller(SandboxOptions(categories=200, seed=seed)) as caller:
            histories.append([(await caller.signed()).rows for _ in range(5)])
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]
    assert len({orjson.dumps(rows) for rows in histories[0]}) == 5


async def test_an_empty_tree_can_be_served() -> None:
    """A file may hold an empty list."""
    async with sandbox_caller(SandboxOptions(trees=([],))) as caller:
        assert (await caller.signed()).rows == []
