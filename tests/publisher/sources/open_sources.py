"""Opens sources and clients for tests, with tokens in files."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from plumbing.config.settings import Settings, TikTokShopSettings
from publisher.errors import SourceError
from publisher.sources import Answer, Source
from publisher.sources.factory import SourceFactory
from publisher.sources.request_limit import RequestLimiter
from publisher.sources.tiktok.client import TikTokClient
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import TokenStore
from tests.publisher.sources.fake_shop import FakeShop

AT_ONCE = 8
SECRETS = ("hush-app", "access-0", "refresh-0", "access-1", "refresh-1")
Clock = Callable[[], float]


def source_factory(
    session: aiohttp.ClientSession, *, at_once: int = AT_ONCE, clock: Clock = time.time
) -> SourceFactory:
    """Return a factory whose sources send at most `at_once` requests at the same time."""
    return SourceFactory(lambda: session, _token_store_for, RequestLimiter(at_once), clock)


def open_source(
    session: aiohttp.ClientSession,
    settings: Settings,
    name: str = "us",
    *,
    clock: Clock = time.time,
) -> Source:
    """Return the source of catalog `name`, from a factory of its own."""
    return source_factory(session, clock=clock).open(name, settings)


def tiktok_client(
    settings: TikTokShopSettings, session: aiohttp.ClientSession, *, clock: Clock = time.time
) -> TikTokClient:
    """Return a client for requests about tokens."""
    limiter = RequestLimiter(AT_ONCE)
    return TikTokClient(settings, session, section="[catalogs.us]", limiter=limiter, clock=clock)


def _token_store_for(shop: TikTokShopSettings, authorize_command: str) -> TokenStore:
    return FileTokenStore(shop.token_file, authorize_command)


async def fetch(
    shop: FakeShop,
    session: aiohttp.ClientSession,
    folder: Path,
    catalog: dict[str, Any] | None = None,
) -> Answer:
    """Fetch from `shop` once, as its catalog `us`; tokens in `folder`."""
    return await open_source(session, shop.settings(folder, catalog)).fetch()


async def fetch_error(shop: FakeShop, session: aiohttp.ClientSession, folder: Path) -> SourceError:
    """Fetch, and return the error; it must not contain a secret."""
    with pytest.raises(SourceError) as caught:
        await fetch(shop, session, folder)
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


def catalogs_of(
    shop: FakeShop, folder: Path, number: int, **catalog: Any
) -> tuple[Settings, list[str]]:
    """Return settings with `number` equal catalogs of one shop, and their names."""
    settings = shop.settings(folder, catalog)
    names = [f"c{index}" for index in range(number)]
    catalogs = dict.fromkeys(names, settings.catalogs["us"])
    return settings.model_copy(update={"catalogs": catalogs}), names
