"""Authorization codes, access tokens that expire and refresh tokens that rotate."""

import re

import pytest

from publisher.sandbox import SandboxOptions
from publisher.sandbox.responses import ErrorResponse
from publisher.sandbox.tokens import TokenIssuer
from tests.publisher.sandbox.caller import NOW, SHOPS, Clock, sandbox_caller

DAY = 24 * 60 * 60


def small(**options: object) -> SandboxOptions:
    return SandboxOptions(categories=30, **options)  # type: ignore[arg-type]


async def test_a_code_works_once() -> None:
    """The answer has a pair, absolute ends, seller and scopes; then 36004004."""
    async with sandbox_caller(small(clock=Clock())) as caller:
        reply = await caller.tokens("get")
        data = reply.json["data"]
        assert (reply.status, reply.code) == (200, 0)
        assert data["access_token"] == caller.newest.access_token
        assert data["refresh_token"] == caller.newest.refresh_token
        assert data["access_token_expire_in"] == NOW + 7 * DAY
        assert data["refresh_token_expire_in"] > 2**32
        assert (data["user_type"], data["seller_name"]) == (0, "Sandbox Seller")
        assert data["granted_scopes"] == ["seller.authorization.info", "seller.product.basic"]
        assert data["seller_base_region"] == "US"
        assert data["open_id"]
        assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
        assert re.fullmatch(r"[0-9]{14}[0-9A-F]{20}", reply.json["request_id"])
        assert (await caller.signed()).code == 0
        assert (await caller.tokens("get")).code == 36004004


async def test_a_wrong_code_does_not_use_up_the_right_one() -> None:
    """36004004, and the right code still works."""
    async with sandbox_caller(small()) as caller:
        wrong = await caller.tokens("get", auth_code="SOME-CODE")
        assert (wrong.status, wrong.code, wrong.json["data"]) == (200, 36004004, None)
        assert b"SOME-CODE" not in wrong.body
        assert (await caller.tokens("get")).code == 0


async def test_only_the_app_gets_tokens() -> None:
    """Key, secret and grant type must be right, and no answer repeats the secret."""
    async with sandbox_caller(small()) as caller:
        for kind in ("get", "refresh"):
            for wrong in ("app_key", "app_secret", "grant_type"):
                reply = await caller.tokens(kind, **{wrong: "WRONG-VALUE"})
                assert (reply.status, reply.code) == (400, 36009004)
                assert wrong in reply.message
                assert b"WRONG-VALUE" not in reply.body
            assert (await caller.tokens(kind, app_secret="")).code == 36009004


@pytest.mark.parametrize("status", [200, 401])
async def test_access_tokens_expire(status: int) -> None:
    """An expired token is 105002, with either status; a refresh helps."""
    clock = Clock()
    options = small(clock=clock, token_life=60, expired_status=status)
    async with sandbox_caller(options) as caller:
        clock.now += 59
        assert (await caller.signed()).code == 0
        clock.now += 1
        expired = await caller.signed()
        assert (expired.status, expired.code) == (status, 105002)
        assert (await caller.signed(SHOPS)).code == 105002
        assert (await caller.tokens("refresh")).code == 0
        assert (await caller.signed()).code == 0


async def test_a_refresh_whose_answer_was_lost_can_be_repeated() -> None:
    """The old refresh token stays valid until the new pair has been used once."""
    async with sandbox_caller(small()) as caller:
        old = caller.newest.refresh_token
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
    """The pair before it ends then, too."""
    async with sandbox_caller(small()) as caller:
        old = caller.newest.refresh_token
        assert (await caller.tokens("refresh")).code == 0
        assert (await caller.tokens("refresh")).code == 0
        assert (await caller.tokens("refresh", refresh_token=old)).code == 36004001


async def test_strict_refresh_ends_the_old_token_at_once() -> None:
    """TikTok may do this too (TikTok Shop API, Tokens: not documented)."""
    async with sandbox_caller(small(strict_refresh=True)) as caller:
        old = caller.newest.refresh_token
        assert (await caller.tokens("refresh")).code == 0
        assert (await caller.tokens("refresh", refresh_token=old)).code == 36004001


async def test_an_old_access_token_is_valid_until_it_expires() -> None:
    """A refresh does not break requests under way."""
    async with sandbox_caller(small(strict_refresh=True)) as caller:
        old = caller.newest.access_token
        assert (await caller.tokens("refresh")).code == 0
        assert (await caller.signed(headers={"x-tts-access-token": old})).code == 0


async def test_unknown_and_expired_refresh_tokens_are_rejected() -> None:
    """Both have the code 36004001."""
    clock = Clock()
    async with sandbox_caller(small(clock=clock, refresh_life=DAY)) as caller:
        assert (await caller.tokens("refresh", refresh_token="unknown")).code == 36004001
        clock.now += DAY
        assert (await caller.tokens("refresh")).code == 36004001


async def test_the_user_type_is_an_option() -> None:
    """With it a test can check that a client rejects a buyer's token."""
    async with sandbox_caller(small(user_type=1)) as caller:
        assert (await caller.tokens("get")).json["data"]["user_type"] == 1


def test_a_hundred_pairs_are_known() -> None:
    """Older access tokens become invalid, so a sandbox needs no more memory."""
    issuer = TokenIssuer(small())
    first = issuer.newest
    for _ in range(99):
        issuer.refresh(issuer.newest.refresh_token)
    issuer.check_access(first.access_token)
    issuer.refresh(issuer.newest.refresh_token)
    with pytest.raises(ErrorResponse):
        issuer.check_access(first.access_token)
