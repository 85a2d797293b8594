"""The composition root: from the configuration to catalogs that can be polled."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import redis.asyncio

from plumbing.config import Settings
from plumbing.embedded import Stay
from plumbing.errors import ConfigError
from plumbing.server import Server, opened
from publisher.guard import Limits
from publisher.poll import Catalog
from publisher.sources import Source
from publisher.sources.factory import open_source
from publisher.store import Store


@dataclass(frozen=True)
class App:
    """What a command works with: the server, a client of it, and the catalogs it named."""

    server: Server
    client: redis.asyncio.Redis
    catalogs: dict[str, Catalog]


@asynccontextmanager
async def opened_app(
    settings: Settings, names: Iterable[str], stay: Stay = Stay.BORROW
) -> AsyncIterator[App]:
    """Open server and sources for the catalogs `names`. Raises ConfigError before it opens any."""
    for name in names:
        settings.tiktok_shop_of(name)
    async with (
        opened(settings, stay) as server,
        server.client() as client,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        catalogs = {
            name: _catalog(settings, name, client, open_source(name, settings, session))
            for name in names
        }
        yield App(server, client, catalogs)


def configured(settings: Settings, names: Iterable[str] = ()) -> list[str]:
    """Return `names`, or all configured catalogs if there are none; ConfigError if that is none."""
    chosen = list(dict.fromkeys(names)) or sorted(settings.catalogs)
    if not chosen:
        raise ConfigError(
            "no catalog is configured: add a section [catalogs.NAME] to publisher.toml"
        )
    for name in chosen:
        settings.catalog(name)
    return chosen


def _catalog(settings: Settings, name: str, client: redis.asyncio.Redis, source: Source) -> Catalog:
    catalog = settings.catalog(name)
    return Catalog(
        name=name,
        origin=catalog.origin,
        source=source,
        store=Store(client, name),
        limits=Limits(**catalog.guard.model_dump()),
        keep_for=catalog.retention.max_age,
        keep_events=catalog.retention.max_events,
        poll_every=catalog.poll_every,
    )
