"""Catalogs of one shop share their tokens, and one refresh of them."""

import asyncio
import contextlib
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from publisher.errors import TokenError
from publisher.sources.tiktok.factory import token_expiries
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import TokenPair
from tests.publisher.sources.fake_shop import (
    CATEGORIES,
    GOOD_DATA,
    REFRESH,
    FakeShop,
    envelope,
    pair_data,
    raw_answer,
)
from tests.publisher.sources.open_sources import catalogs_of, open_source, source_factory


async def test_the_expiry_of_a_due_token_is_known_only_after_a_failed_refresh(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Another publisher may have refreshed it, so the old expiry is not reported."""
    file = FileTokenStore(tmp_path / "tokens.json")
    now = 1000.0
    await file.store(TokenPair.from_answer({**pair_data(1), "access_token_expire_in": 2000}, now))
    settings = shop.settings(tmp_path)
    opened = [open_source(session, settings, clock=lambda: now) for _ in range(2)]
    await asyncio.gather(*(source.fetch() for source in opened))
    assert [each.access_token for each in token_expiries(opened)] == [2000, 2000]

    now = 1900.0
    shop.answers[REFRESH] = [raw_answer(b"", status=404)]
    await opened[0].fetch()
    assert {each.access_token for each in token_expiries(opened[:1])} == {2000}
    [unknown] = token_expiries(opened[1:])
    assert unknown.access_token is None
    assert unknown.refresh_token == 2**33


async def test_ten_catalogs_refresh_once(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """One token provider serves all; it knows when the tokens expire."""
    expired = envelope(105002, "Expired credentials", status=401)

    async def check_token(request: web.Request) -> web.StreamResponse:
        is_new = request.headers["x-tts-access-token"] == "access-1"
        return await (envelope(data=GOOD_DATA) if is_new else expired)(request)

    shop.answers[CATEGORIES] = [check_token]
    shop.answers[REFRESH] = [envelope(data=pair_data(1)), envelope(36004001, "used up")]
    settings, names = catalogs_of(shop, tmp_path, 10)
    sources = source_factory(session)
    opened = [sources.open(name, settings) for name in names]
    await asyncio.gather(*(source.fetch() for source in opened))
    assert len(shop.requests_for(REFRESH)) == 1
    [expiry] = token_expiries(opened)
    assert expiry.location == str(tmp_path / "tokens.json")
    assert expiry.access_token
    assert expiry.refresh_token == 2**33
    assert not list(token_expiries([]))


async def test_a_refused_refresh_is_not_repeated_for_each_catalog(
    shop: FakeShop, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The refusal counts for a minute, or until another pair is stored."""
    shop.answers[CATEGORIES] = [envelope(105002, "Expired credentials", status=401)]
    shop.answers[REFRESH] = [envelope(36004005, "no record")]
    settings, names = catalogs_of(shop, tmp_path, 5)
    sources = source_factory(session)
    opened = [sources.open(name, settings) for name in names]
    for source in opened:
        with contextlib.suppress(TokenError):
            await source.fetch()
    assert len(shop.requests_for(REFRESH)) == 1

    new = TokenPair(access_token="access-5", refresh_token="refresh-5")
    await FileTokenStore(tmp_path / "tokens.json").store(new)
    with contextlib.suppress(TokenError):
        await opened[0].fetch()
    assert len(shop.requests_for(REFRESH)) == 2


async def test_a_failed_early_refresh_is_logged_once(
    shop: FakeShop,
    session: aiohttp.ClientSession,
    tmp_path: Path,
    log_lines: list[MutableMapping[str, Any]],
) -> None:
    """Not once per catalog; the polls go on."""
    shop.answers[REFRESH] = [raw_answer(b"", status=503)]
    await FileTokenStore(tmp_path / "tokens.json").store(
        TokenPair.from_answer(pair_data(1, life=100), 0.0)
    )
    settings, names = catalogs_of(shop, tmp_path, 5)
    sources = source_factory(session)
    await asyncio.gather(*(sources.open(name, settings).fetch() for name in names))
    assert len(log_lines) == 1
