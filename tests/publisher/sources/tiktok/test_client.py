"""The client against the sandbox, which shares no code with it."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import stamina

from plumbing.config.settings import Settings
from plumbing.errors import Error
from publisher.errors import BadSnapshot, SourceError, TokenError
from publisher.sandbox import Fault, Sandbox, SandboxOptions
from publisher.sources import Answer
from publisher.sources.tiktok.authorize import authorize
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from tests.publisher.sources.fake_shop import CATEGORIES, REFRESH, settings_at
from tests.publisher.sources.open_sources import open_source
from tests.support.messages import whole

DAY = 24 * 3600


@dataclass
class Clock:
    """The clock of both sides, set by the test."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        """Return Unix seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sandbox(clock: Clock) -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions(categories=200, clock=clock, strict_refresh=True)) as sandbox:
        yield sandbox


def sandbox_settings(
    sandbox: Sandbox, folder: Path, catalog: dict[str, Any] | None = None, **tiktok_shop: Any
) -> Settings:
    """Return settings whose catalog `us` is in the sandbox, with overrides."""
    newest = sandbox.api.tokens.newest
    first: dict[str, Any] = {
        "app_key": sandbox.options.app_key,
        "app_secret": sandbox.options.app_secret,
        "access_token": newest.access_token,
        "refresh_token": newest.refresh_token,
    }
    us = {
        "category_version": "v2",
        "shop_cipher": sandbox.options.shops[0].cipher,
        "locale": "en-US",
    }
    return settings_at(sandbox.url, folder, {**us, **(catalog or {})}, **{**first, **tiktok_shop})


async def fetch(settings: Settings, session: aiohttp.ClientSession, clock: Clock) -> Answer:
    return await open_source(session, settings, clock=clock).fetch()


def rows(answer: Answer) -> list[tuple[Any, ...]]:
    """Return the fields that are published of each category."""
    fields = ("id", "parent_id", "local_name", "is_leaf")
    found = orjson.loads(answer.body)["data"]["categories"]
    return [tuple(row[field] for field in fields) for row in found]


async def test_each_snapshot_arrives_as_it_was_served(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: Clock, tmp_path: Path
) -> None:
    """Signature, headers and parameters are right; unusual names arrive unchanged."""
    source = open_source(session, sandbox_settings(sandbox, tmp_path), clock=clock)
    seen = set()
    for _ in range(3):
        found = rows(await source.fetch())
        assert found == [tuple(row) for row in sandbox.api.served]
        seen.add(orjson.dumps(found))
    assert len(seen) == 3


async def test_tokens_are_refreshed_for_weeks(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: Clock, tmp_path: Path
) -> None:
    """The server ends old refresh tokens at once: one refresh a week, no failure."""
    source = open_source(session, sandbox_settings(sandbox, tmp_path), clock=clock)
    for _ in range(8 * 7):
        await source.fetch()
        clock.now += DAY
    assert 8 <= sandbox.api.requests[REFRESH] <= 10
    assert sandbox.api.requests[CATEGORIES] == 8 * 7 + 1  # one request had an expired token


@pytest.mark.parametrize(
    "fault",
    [
        Fault.parse("code=36009003@1-2"),
        Fault.parse("code=36009007@1"),
        Fault.parse("code=36009002@1"),
        Fault.parse("http=502@1-4"),
        Fault.parse("retry-after=1@1"),
        Fault.parse("retry-after=date@1"),
        Fault.parse("cut@1"),
        Fault.parse("truncate@1"),
    ],
    ids=lambda fault: f"{fault.kind}={fault.value}",
)
async def test_a_transient_error_is_bridged(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: Clock, tmp_path: Path, fault: Fault
) -> None:
    """The same poll gets the snapshot."""
    sandbox.api.faults = [fault]
    assert len(rows(await fetch(sandbox_settings(sandbox, tmp_path), session, clock))) >= 200


@pytest.mark.parametrize("code", [106001, 106013, 101000, 105005, 36009033, 12052217, 36009014])
async def test_an_error_to_fix_ends_the_poll(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: Clock, tmp_path: Path, code: int
) -> None:
    """One request; the message quotes TikTok Shop's."""
    sandbox.api.faults = [Fault.parse(f"code={code}")]
    with pytest.raises(SourceError, match=f"code {code}, message '.*request_id"):
        await fetch(sandbox_settings(sandbox, tmp_path), session, clock)
    assert sandbox.api.requests[CATEGORIES] == 1


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"tiktok_shop": {"app_secret": "hush"}}, "APP_SECRET is the secret of the app key"),
        ({"tiktok_shop": {"app_key": "other"}}, "APP_SECRET is the secret of the app key"),
        ({"catalog": {"shop_cipher": None}}, r"set shop_cipher in \[catalogs.us\]"),
        ({"catalog": {"shop_cipher": "GCP_other"}}, r"check shop_cipher in \[catalogs.us\]"),
        ({"catalog": {"category_version": None}}, 'set category_version = "v2"'),
        ({"catalog": {"category_version": "v1"}}, 'set category_version = "v2"'),
    ],
)
async def test_a_wrong_setting_is_named(
    sandbox: Sandbox,
    session: aiohttp.ClientSession,
    clock: Clock,
    tmp_path: Path,
    wrong: dict[str, dict[str, Any]],
    advice: str,
) -> None:
    """With advice about the setting, and without secrets."""
    settings = sandbox_settings(
        sandbox, tmp_path, wrong.get("catalog"), **wrong.get("tiktok_shop", {})
    )
    with pytest.raises(SourceError, match=advice) as caught:
        await fetch(settings, session, clock)
    assert "hush" not in str(caught.value)


async def test_a_wrong_clock_is_measured(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """TikTok Shop does not accept a timestamp of ten minutes ago."""
    async with Sandbox(SandboxOptions(categories=10)) as sandbox:
        late = Clock(time.time() - 600)
        with pytest.raises(SourceError, match=r"clock is (599|600|601) s behind TikTok Shop's"):
            await fetch(sandbox_settings(sandbox, tmp_path), session, late)


async def test_a_decompression_bomb_is_refused(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: Clock, tmp_path: Path
) -> None:
    """The limit counts the bytes after decompression."""
    sandbox.api.faults = [Fault.parse("bomb=200")]
    with pytest.raises(
        BadSnapshot,
        match=whole(
            "http://127.0.0.1:<any>/product/202309/categories: the answer has more than "
            "67108864 bytes: if that is right, raise max_body_bytes"
        ),
    ):
        await fetch(sandbox_settings(sandbox, tmp_path), session, clock)


@pytest.mark.parametrize("kind", ["slow", "drip"])
async def test_an_answer_that_takes_too_long_is_refused(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: Clock, tmp_path: Path, kind: str
) -> None:
    """After `request_timeout`."""
    sandbox.api.faults = [Fault.parse(f"{kind}=60")]
    settings = sandbox_settings(sandbox, tmp_path, {"request_timeout": "200ms"})
    with (
        stamina.set_testing(True, attempts=1),
        pytest.raises(
            SourceError,
            match=whole(
                "http://127.0.0.1:<any>/product/202309/categories: no complete answer within "
                "0.2 s (request_timeout)"
            ),
        ),
    ):
        await fetch(settings, session, clock)


async def test_the_rate_limit_is_respected(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Six polls at two a second wait for `Retry-After`, and none fails."""
    async with Sandbox(SandboxOptions(categories=10, rate_limit=2)) as sandbox:
        source = open_source(session, sandbox_settings(sandbox, tmp_path))
        with stamina.set_testing(False):
            for _ in range(6):
                await source.fetch()
        assert len(sandbox.api.served) > 0


async def test_authorize_and_fetch(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: Clock, tmp_path: Path
) -> None:
    """From the address in the browser to the first snapshot; the code works once."""
    settings = sandbox_settings(sandbox, tmp_path, access_token=None, refresh_token=None)
    with pytest.raises(
        TokenError,
        match=whole(
            "there is no access token: run `category-publisher authorize`, which writes "
            "<any>/tokens.json, or set CATEGORY_PUBLISHER_TIKTOK_SHOP__ACCESS_TOKEN and "
            "CATEGORY_PUBLISHER_TIKTOK_SHOP__REFRESH_TOKEN"
        ),
    ):
        await fetch(settings, session, clock)

    address = f"https://me.example/back?app_key=x&code={sandbox.options.auth_code}&locale=en"
    clock.now = time.time()
    found = await authorize(
        address, settings.tiktok_shop, session, FileTokenStore(settings.tiktok_shop.token_file)
    )
    assert found.seller_name == sandbox.options.seller_name
    assert [shop.cipher for shop in found.shops] == [sandbox.options.shops[0].cipher]
    assert rows(await fetch(settings, session, clock))

    with pytest.raises(
        TokenError,
        match=whole(
            "http://127.0.0.1:<any>/api/v2/token/get: TikTok Shop refused: the "
            "authorization code is wrong, too old or used up (code 36004004, message "
            "'Invalid auth code.', request_id <any>): let the seller authorize the app "
            "again, and use the new code immediately and only once"
        ),
    ):
        await authorize(
            sandbox.options.auth_code,
            settings.tiktok_shop,
            session,
            FileTokenStore(settings.tiktok_shop.token_file),
        )


async def test_only_sellers_are_authorized(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """A creator's authorization stores nothing."""
    async with Sandbox(SandboxOptions(categories=10, user_type=1)) as sandbox:
        settings = sandbox_settings(sandbox, tmp_path)
        with pytest.raises(
            TokenError,
            match=whole(
                "this authorization is of user type 1, not of a seller (0): nothing was stored; "
                "let the shop's seller authorize the app"
            ),
        ):
            await authorize(
                sandbox.options.auth_code,
                settings.tiktok_shop,
                session,
                FileTokenStore(settings.tiktok_shop.token_file),
            )
    assert not settings.tiktok_shop.token_file.exists()


async def test_tokens_used_up_elsewhere_need_an_authorization(
    sandbox: Sandbox, session: aiohttp.ClientSession, clock: Clock, tmp_path: Path
) -> None:
    """The error names the command to run."""
    other = with_tokens_in(sandbox_settings(sandbox, tmp_path), tmp_path / "other")
    settings = sandbox_settings(sandbox, tmp_path)
    clock.now += 8 * DAY
    await fetch(other, session, clock)
    with pytest.raises(
        Error,
        match=whole(
            "http://127.0.0.1:<any>/api/v2/token/refresh: TikTok Shop refused: the refresh "
            "token has expired, or was already used: by a refresh whose answer was lost, or "
            "by another system that has the same tokens (code 36004001, message 'rt has "
            "expired', request_id 2027012308000000000000000000000005): run "
            "`category-publisher authorize`"
        ),
    ):
        await fetch(settings, session, clock)


def with_tokens_in(settings: Settings, folder: Path) -> Settings:
    shop = settings.tiktok_shop.model_copy(update={"token_file": folder / "tokens.json"})
    return settings.model_copy(update={"tiktok_shop": shop})
