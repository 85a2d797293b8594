import asyncio
from itertools import islice

import pytest

from publisher.sandbox import CannotListen, Row, Sandbox, SandboxOptions, SandboxShop
from publisher.sandbox.synthetic import mutating_trees
from tests.publisher.sandbox.caller import CATEGORIES, NOW, SHOPS, Clock, calling

SMALL = SandboxOptions(categories=60)


async def test_categories_come_as_tiktok_sends_them() -> None:
    """The documented envelope, breadth-first, ids ascending within a level."""
    async with calling(SMALL) as caller:
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
        assert reply.rows == caller.sandbox.served


async def test_answers_differ_in_their_request_id_alone() -> None:
    """The same tree is the same `data`, byte for byte; no two answers share a request id."""
    async with calling(SandboxOptions(categories=60, advance="command")) as caller:
        first, second = await caller.signed(), await caller.signed()
        assert first.json["request_id"] != second.json["request_id"]
        assert first.body.split(b'"data":')[1] == second.body.split(b'"data":')[1]


async def test_gzip_is_for_those_who_take_it() -> None:
    """Compressed or not, it is the same list."""
    async with calling(SandboxOptions(categories=300, advance="command")) as caller:
        plain = await caller.signed(headers={"Accept-Encoding": "identity"})
        packed = await caller.signed(headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Content-Encoding"] == "gzip"
        assert int(packed.headers["Content-Length"]) < len(plain.body) / 2
        assert packed.rows == plain.rows


async def test_shops_are_listed_with_their_ciphers() -> None:
    """Get Authorized Shops answers all of the seller's shops."""
    shops = (
        SandboxShop(),
        SandboxShop(id="2", name="Zwei", region="DE", cipher="other", code="DE2"),
    )
    async with calling(SandboxOptions(shops=shops, categories=60)) as caller:
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


@pytest.mark.parametrize("seconds", [-300, 0, 30])
async def test_timestamps_may_be_a_little_off(seconds: int) -> None:
    """From five minutes ago to thirty seconds ahead (TikTok Shop API, Get Categories)."""
    async with calling(SandboxOptions(clock=Clock(), categories=60)) as caller:
        reply = await caller.signed(query={"timestamp": str(int(NOW) + seconds)})
        assert reply.code == 0


@pytest.mark.parametrize(
    ("query", "headers", "status", "code", "says"),
    [
        ({"app_key": None}, {}, 400, 36009004, "app_key"),
        ({"app_key": "another"}, {}, 400, 36009004, "app_key"),
        ({"app_key": "schlüssel"}, {}, 400, 36009004, "app_key"),
        ({"timestamp": None}, {}, 400, 36009004, "timestamp"),
        ({"timestamp": "now"}, {}, 400, 36009004, "timestamp"),
        ({"timestamp": "-1"}, {}, 400, 36009004, "timestamp"),
        ({"timestamp": str(int(NOW) - 301)}, {}, 400, 36009004, "`timestamp` query"),
        ({"timestamp": str(int(NOW) + 31)}, {}, 400, 36009004, "more than 30 seconds"),
        ({"timestamp": f"{int(NOW)}000"}, {}, 400, 36009004, "timestamp"),
        ({}, {"content-type": None}, 400, 36009004, "content-type"),
        ({}, {"x-tts-access-token": None}, 400, 36009004, "x-tts-access-token"),
        ({}, {"x-tts-access-token": "TOKEN-OF-SOMEBODY"}, 400, 36009004, "x-tts-access-token"),
        ({"access_token": "TOKEN-OF-SOMEBODY"}, {}, 400, 36009004, "access_token"),
        (
            {"access_token": "TOKEN-OF-SOMEBODY"},
            {"x-tts-access-token": None},
            400,
            36009004,
            "access_token",
        ),
        ({"locale": ""}, {}, 400, 36009004, "locale"),
        ({"shop_cipher": ""}, {}, 400, 36009004, "shop_cipher"),
        ({"shop_cipher": None}, {}, 400, 106013, "shop_cipher"),
        ({"shop_cipher": "another"}, {}, 401, 101000, "shop_cipher"),
        ({"category_version": None}, {}, 200, 12052217, "V2"),
        ({"category_version": "v1"}, {}, 200, 12052217, "V2"),
        ({"category_version": "2"}, {}, 400, 36009004, "category_version"),
        ({"listing_platform": "SHOPEE"}, {}, 400, 36009004, "listing_platform"),
        ({"include_prohibited_categories": "True"}, {}, 400, 36009004, "include_prohibited"),
        ({"keyword": "Shoes"}, {}, 400, 36009004, "keyword"),
    ],
)
async def test_wrong_requests_are_refused_with_their_code(
    query: dict[str, str | None],
    headers: dict[str, str | None],
    status: int,
    code: int,
    says: str,
) -> None:
    """Each documented refusal, in the envelope, with null data; no secret comes back."""
    async with calling(SandboxOptions(clock=Clock(), categories=60)) as caller:
        reply = await caller.signed(query=query, headers=headers)
        assert (reply.status, reply.code) == (status, code)
        assert says in reply.message
        assert reply.json["data"] is None
        assert reply.json["request_id"]
        for secret in (caller.sandbox.app_secret, caller.sandbox.access_token, "TOKEN-OF"):
            assert secret.encode() not in reply.body
        assert caller.sandbox.served == []


async def test_signatures_are_checked() -> None:
    """106001 for another secret or changed values; 36009004 where there is none."""
    async with calling(SMALL) as caller:
        assert (await caller.signed(secret="another")).code == 106001
        assert (await caller.signed(SHOPS, secret="another")).code == 106001
        head = {"content-type": "application/json", "x-tts-access-token": "x"}
        query = {
            "app_key": caller.sandbox.app_key,
            "timestamp": str(int(caller.sandbox.options.clock())),
        }
        unsigned = await caller.get(CATEGORIES, query, head)
        assert (unsigned.code, "sign" in unsigned.message) == (36009004, True)
        wrong = await caller.get(CATEGORIES, {**query, "sign": "0" * 64}, head)
        assert (wrong.status, wrong.code) == (401, 106001)
        assert (await caller.get(CATEGORIES, {**query, "sign": "ß"}, head)).code == 106001


async def test_a_parameter_that_comes_twice_is_refused() -> None:
    """What is signed would be ambiguous."""
    async with calling(SMALL) as caller:
        reply = await caller.get(f"{CATEGORIES}?locale=de&locale=en", {})
        assert (reply.code, "locale" in reply.message) == (36009004, True)


async def test_markets_without_v2_take_any_version() -> None:
    """Only where the market requires it is v2 a must (TikTok Shop API, Get Categories)."""
    async with calling(SandboxOptions(requires_v2=False, categories=60)) as caller:
        assert (await caller.signed(query={"category_version": None})).code == 0
        assert (await caller.signed(query={"category_version": "v1"})).code == 0


async def test_scopes_are_needed() -> None:
    """105005 where the token's scopes lack the endpoint's."""
    async with calling(SandboxOptions(scopes=("seller.order.info",), categories=60)) as caller:
        assert (await caller.signed()).code == 105005
        assert (await caller.signed(SHOPS)).code == 105005


async def test_shops_take_no_cipher() -> None:
    """The endpoint that tells ciphers wants none."""
    async with calling(SMALL) as caller:
        reply = await caller.signed(SHOPS, {"shop_cipher": caller.sandbox.shop_cipher})
        assert (reply.code, "not required" in reply.message) == (36009004, True)


async def test_other_paths_versions_and_methods_get_an_envelope_too() -> None:
    """404, 36009014 and 405, each as JSON."""
    async with calling(SMALL) as caller:
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
    """Requests are read up to a bound; the refusal is an envelope."""
    async with calling(SMALL) as caller:
        query = {
            "app_key": caller.sandbox.app_key,
            "timestamp": str(int(caller.sandbox.options.clock())),
            "sign": "x",
        }
        url = caller.sandbox.url + CATEGORIES
        async with caller.session.get(url, params=query, data=b"x" * 100_000) as answer:
            assert answer.status == 413
            assert (await answer.json())["code"] == 36009004


async def test_the_date_is_the_sandboxs_own() -> None:
    """A client can learn from the Date header how far its own clock is off."""
    async with calling(SandboxOptions(clock=Clock(0.0), categories=60)) as caller:
        reply = await caller.get("/", {})
        assert reply.headers["Date"] == "Thu, 01 Jan 1970 00:00:00 GMT"


async def test_the_rate_limit_says_when_to_come_back() -> None:
    """A burst of a second's worth, then 429 with Retry-After until a share has come in."""
    clock = Clock()
    async with calling(SandboxOptions(rate_limit=2, clock=clock, categories=60)) as caller:
        assert [(await caller.signed()).code for _ in range(3)] == [0, 0, 36009002]
        refused = await caller.signed()
        assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        assert (await caller.tokens("refresh")).code == 0
        clock.now += 0.5
        assert [(await caller.signed()).code for _ in range(2)] == [0, 36009002]


async def test_a_slow_rate_is_a_long_wait() -> None:
    """One request in a minute: Retry-After is the time that is left, rounded up."""
    clock = Clock()
    async with calling(SandboxOptions(rate_limit=1 / 60, clock=clock, categories=60)) as caller:
        assert (await caller.signed()).code == 0
        clock.now += 10.5
        assert (await caller.signed()).headers["Retry-After"] == "50"


async def test_one_can_look_inside() -> None:
    """GET /sandbox tells requests by path, the tree of now and the one served last."""
    async with calling(SandboxOptions(categories=60, advance="command")) as caller:
        await caller.get("/nowhere", {})
        look = (await caller.get("/sandbox", {})).json
        assert (look["index"], look["served"]) == (0, None)
        await caller.signed()
        look = (await caller.get("/sandbox/next", {}, method="POST")).json
        assert (look["index"], look["served"]) == (1, {"index": 0, "categories": 60})
        assert look["requests"] == {"other": 1, CATEGORIES: 1, "/sandbox": 1, "/sandbox/next": 1}
        assert caller.sandbox.requests[CATEGORIES] == 1


async def test_many_callers_at_once_skip_no_tree() -> None:
    """Requests that overlap may get the same tree, but no tree is passed over."""
    trees = [sorted(tree) for tree in islice(mutating_trees(500, 1), 9)]
    async with calling(SandboxOptions(categories=500)) as caller:
        replies = await asyncio.gather(*(caller.signed() for _ in range(8)))
        served = {trees.index(sorted(map(Row._make, reply.rows))) for reply in replies}
        assert served == set(range(len(served)))
        after = sorted(map(Row._make, (await caller.signed()).rows))
        assert trees.index(after) == len(served)


async def test_a_port_that_is_taken_is_one_clear_error() -> None:
    """Which port, and what to do."""
    async with Sandbox(SMALL) as first:
        second = Sandbox(SandboxOptions(port=first.port, categories=60))
        with pytest.raises(CannotListen, match=rf"port {first.port}: another program.*--port"):
            await second.__aenter__()


async def test_an_impossible_port_is_one_clear_error() -> None:
    """A number beyond 65535 is no port."""
    with pytest.raises(CannotListen, match="port 70000"):
        await Sandbox(SandboxOptions(port=70_000, categories=60)).__aenter__()


def test_its_repr_holds_no_credentials() -> None:
    """They are public here, but habits are not."""
    assert "token'" not in repr(SandboxOptions(categories=1)).replace("token_life", "")
    assert "secret" not in repr(SandboxOptions(categories=1))
