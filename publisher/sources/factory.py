"""From a catalog's settings to its source: what the composition root calls."""

import time
from collections.abc import Callable

import aiohttp

from plumbing.config import Settings
from plumbing.errors import ConfigError
from publisher.sources import Source
from publisher.sources.access import access_of
from publisher.sources.api import Api
from publisher.sources.file import File
from publisher.sources.http import Http
from publisher.sources.tiktok_shop import TikTokShop
from publisher.sources.transport import Limits


def open_source(
    name: str,
    settings: Settings,
    session: aiohttp.ClientSession,
    *,
    clock: Callable[[], float] = time.time,
) -> Source:
    """Return the source of catalog `name`; nothing is asked yet.

    Raises ConfigError if the app's key or secret is missing, or if the configured token is none.
    `session` stays the caller's to close.
    """
    catalog = settings.catalog(name)
    match catalog.source:
        case "file":
            return File(catalog)
        case "http":
            return Http(catalog, session)
        case "tiktok_shop":
            return _tiktok_shop(name, settings, session, clock)


def _tiktok_shop(
    name: str, settings: Settings, session: aiohttp.ClientSession, clock: Callable[[], float]
) -> TikTokShop:
    catalog = settings.catalog(name)
    if catalog.access_token is not None and catalog.token_file is None:
        raise ConfigError(
            f"catalogs.{name}: access_token needs a token_file of its own here: the one of "
            "[tiktok_shop] would win, and is for its tokens"
        )
    shop = settings.tiktok_shop_of(name)
    api = Api(shop, session, section=f"[catalogs.{name}]", limits=Limits.of(catalog), clock=clock)
    return TikTokShop(catalog, api, access_of(shop, api))
