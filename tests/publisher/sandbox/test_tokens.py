import pytest

from publisher.sandbox import SandboxOptions
from tests.publisher.sandbox.caller import NOW, SHOPS, Clock, calling

DAY = 24 * 60 * 60


def small(**options: object) -> SandboxOptions:
    return SandboxOptions(categories=30, **options)  # type: ignore[arg-type]


async def test_a_code_is_good_once() -> None:
    """The exchange answers a pair, absolute ends, the seller and scopes; then 36004004."""
    async with calling(small(clock=Clock())) as caller:
        reply = await caller.tokens("get")
        data = reply.json["data"]
        assert (reply.status, reply.code) == (200, 0)
        assert data["access_token"] == caller.sandbox.access_token
        assert data["refresh_token"] == caller.sandbox.refresh_token
        assert data["access_token_expire_in"] == NOW + 7 * DAY
        assert data["refresh_token_expire_in"] > 2**32
        assert (data["user_type"], data["seller_name"]) == (0, "Sandbox Seller")
        assert data["granted_scopes"] == ["seller.authorization.info", "seller.product.basic"]
        assert data["seller_base_region"] == "US"
        assert data["open_id"]
        assert (await caller.signed()).code == 0
        assert (await caller.tokens("get")).code == 36004004


async def test_a_wrong_code_does_not_use_up_the_right_one() -> None:
    """36004004, and the right one is still good."""
    async with calling(small()) as caller:
        wrong = await caller.tokens("get", auth_code="SOME-CODE")
        assert (wrong.status, wrong.code, wrong.json["data"]) == (200, 36004004, None)
        assert b"SOME-CODE" not in wrong.body
        assert (await caller.tokens("get")).code == 0


async def test_tokens_are_for_the_app_alone() -> None:
    """Key, secret and grant type have to be right, and no answer repeats the secret."""
    async with calling(small()) as caller:
        for kind in ("get", "refresh"):
            for wrong in ("app_key", "app_secret", "grant_type"):
                reply = await caller.tokens(kind, **{wrong: "WRONG-VALUE"})
                assert (reply.status, reply.code) == (400, 36009004)
                assert wrong in reply.message
                assert b"WRONG-VALUE" not in reply.body
            assert (await caller.tokens(kind, app_secret="")).code == 36009004


@pytest.mark.parametrize("status", [200, 401])
async def test_access_tokens_expire(status: int) -> None:
    """At their end they are 105002, by either status; a refresh helps."""
    clock = Clock()
    options = small(clock=clock, token_life=60, expired_status=status)
    async with calling(options) as caller:
        clock.now += 59
        assert (await caller.signed()).code == 0
        clock.now += 1
        expired = await caller.signed()
        assert (expired.status, expired.code) == (status, 105002)
        assert (await caller.signed(SHOPS)).code == 105002
        assert (await caller.tokens("refresh")).code == 0
        assert (await caller.signed()).code == 0


async def test_a_refresh_whose_answer_was_lost_can_be_repeated() -> None:
    """The old refresh token stays good until the new pair has been used once."""
    async with calling(small()) as caller:
        old = caller.sandbox.refresh_token
        lost = (await caller.tokens("refresh")).json["data"]
        found = (await caller.tokens("refresh", refresh_token=old)).json["data"]
        assert lost["access_token"] != found["access_token"]
        assert (
            await caller.signed(headers={"x-tts-access-token": found["access_token"]})
        ).code == 0
        for token in (old, lost["refresh_token"]):
            reply = await caller.tokens("refresh", refresh_token=token)
            assert (reply.code, reply.json["data"]) == (36004001, None)
        assert (await caller.tokens("refresh", refresh_token=found["refresh_token"])).code == 0


async def test_refreshing_with_a_new_pair_uses_it() -> None:
    """So the pair before it is over, too."""
    async with calling(small()) as caller:
        old = caller.sandbox.refresh_token
        assert (await caller.tokens("refresh")).code == 0
        assert (await caller.tokens("refresh")).code == 0
        assert (await caller.tokens("refresh", refresh_token=old)).code == 36004001


async def test_strict_refresh_ends_the_old_token_at_once() -> None:
    """The other way TikTok may do it (TikTok Shop API, Tokens: treat it as if it did)."""
    async with calling(small(strict_refresh=True)) as caller:
        old = caller.sandbox.refresh_token
        assert (await caller.tokens("refresh")).code == 0
        assert (await caller.tokens("refresh", refresh_token=old)).code == 36004001


async def test_an_old_access_token_lives_to_its_end() -> None:
    """A refresh does not cut off requests that are under way."""
    async with calling(small(strict_refresh=True)) as caller:
        old = caller.sandbox.access_token
        assert (await caller.tokens("refresh")).code == 0
        assert (await caller.signed(headers={"x-tts-access-token": old})).code == 0


async def test_unknown_and_expired_refresh_tokens_are_refused() -> None:
    """36004001 for both."""
    clock = Clock()
    async with calling(small(clock=clock, refresh_life=DAY)) as caller:
        assert (await caller.tokens("refresh", refresh_token="unknown")).code == 36004001
        clock.now += DAY
        assert (await caller.tokens("refresh")).code == 36004001


async def test_a_buyers_token_can_be_had() -> None:
    """`user_type` is an option, so that a client's refusal of it can be tested."""
    async with calling(small(user_type=1)) as caller:
        assert (await caller.tokens("get")).json["data"]["user_type"] == 1
