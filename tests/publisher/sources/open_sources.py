"""Opens sources and clients for tests: tokens in files, a session that the test owns."""

import time
from collections.abc import Callable

import aiohttp

from plumbing.config.settings import Settings, TikTokShopSettings
from publisher.sources import Source
from publisher.sources.factory import SourceFactory
from publisher.sources.request_limit import RequestLimiter
from publisher.sources.tiktok.client import TikTokClient
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import TokenStore

AT_ONCE = 8
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
