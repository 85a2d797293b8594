"""The checks of a request: each documented error, and what is accepted."""

import pytest

from publisher.sandbox import SandboxOptions
from tests.publisher.sandbox.caller import CATEGORIES, NOW, SHOPS, Clock, sandbox_caller

SMALL = SandboxOptions(categories=60)


@pytest.mark.parametrize("seconds", [-300, 0, 30])
async def test_timestamps_may_be_a_little_off(seconds: int) -> None:
    """From five minutes ago to thirty seconds ahead (TikTok Shop API, Get Categories)."""
    async with sandbox_caller(SandboxOptions(clock=Clock(), categories=60)) as caller:
        reply = await caller.signed(query={"timestamp": str(int(NOW) + seconds)})
        assert reply.code == 0


@pytest.mark.parametrize(
    ("query", "headers", "status", "code", "expected"),
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
async def test_wrong_requests_are_rejected_with_their_code(
    query: dict[str, str | None],
    headers: dict[str, str | None],
    status: int,
    code: int,
    expected: str,
) -> None:
    """Each documented error comes as an envelope with null data; no secret comes back."""
    async with sandbox_caller(SandboxOptions(clock=Clock(), categories=60)) as caller:
        reply = await caller.signed(query=query, headers=headers)
        assert (reply.status, reply.code) == (status, code)
        assert expected in reply.message
        assert reply.json["data"] is None
        assert reply.json["request_id"]
        for secret in (
            caller.sandbox.options.app_secret,
            caller.newest.access_token,
            "TOKEN-OF",
        ):
            assert secret.encode() not in reply.body
        assert caller.sandbox.api.served == []


async def test_signatures_are_checked() -> None:
    """106001 for another secret or changed values; 36009004 without a signature."""
    async with sandbox_caller(SMALL) as caller:
        assert (await caller.signed(secret="another")).code == 106001
        assert (await caller.signed(SHOPS, secret="another")).code == 106001
        head = {"content-type": "application/json", "x-tts-access-token": "x"}
        query = {
            "app_key": caller.sandbox.options.app_key,
            "timestamp": str(int(caller.sandbox.options.clock())),
        }
        unsigned = await caller.get(CATEGORIES, query, head)
        assert (unsigned.code, "sign" in unsigned.message) == (36009004, True)
        wrong = await caller.get(CATEGORIES, {**query, "sign": "0" * 64}, head)
        assert (wrong.status, wrong.code) == (401, 106001)
        assert (await caller.get(CATEGORIES, {**query, "sign": "ß"}, head)).code == 106001


async def test_a_repeated_parameter_is_rejected() -> None:
    """It would be ambiguous which value is signed."""
    async with sandbox_caller(SMALL) as caller:
        reply = await caller.get(f"{CATEGORIES}?locale=de&locale=en", {})
        assert (reply.code, "locale" in reply.message) == (36009004, True)


async def test_markets_that_do_not_require_v2_accept_any_version() -> None:
    """v2 is required only where the market says so (TikTok Shop API, Get Categories)."""
    async with sandbox_caller(SandboxOptions(requires_v2=False, categories=60)) as caller:
        assert (await caller.signed(query={"category_version": None})).code == 0
        assert (await caller.signed(query={"category_version": "v1"})).code == 0


async def test_scopes_are_required() -> None:
    """105005 if the token's scopes lack the endpoint's."""
    async with sandbox_caller(
        SandboxOptions(scopes=("seller.order.info",), categories=60)
    ) as caller:
        assert (await caller.signed()).code == 105005
        assert (await caller.signed(SHOPS)).code == 105005


async def test_shops_take_no_cipher() -> None:
    """The endpoint that lists the ciphers accepts none."""
    async with sandbox_caller(SMALL) as caller:
        reply = await caller.signed(SHOPS, {"shop_cipher": caller.sandbox.options.shops[0].cipher})
        assert (reply.code, "not required" in reply.message) == (36009004, True)


async def test_the_rate_limit_answers_429_with_retry_after() -> None:
    """A second's worth passes at once; then 429 until there is a token again."""
    clock = Clock()
    async with sandbox_caller(SandboxOptions(rate_limit=2, clock=clock, categories=60)) as caller:
        assert [(await caller.signed()).code for _ in range(3)] == [0, 0, 36009002]
        rejected = await caller.signed()
        assert (rejected.status, rejected.headers["Retry-After"]) == (429, "1")
        assert (await caller.tokens("refresh")).code == 0
        clock.now += 0.5
        assert [(await caller.signed()).code for _ in range(2)] == [0, 36009002]


async def test_a_slow_rate_is_a_long_wait() -> None:
    """With one request a minute, Retry-After is the remaining time, rounded up."""
    clock = Clock()
    async with sandbox_caller(
        SandboxOptions(rate_limit=1 / 60, clock=clock, categories=60)
    ) as caller:
        assert (await caller.signed()).code == 0
        clock.now += 10.5
        assert (await caller.signed()).headers["Retry-After"] == "50"
