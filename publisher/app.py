"""The composition root: from the configuration to catalogs that can be polled."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from plumbing.config.settings import Settings
from plumbing.config.shops import tiktok_shops_of
from plumbing.errors import ConfigError
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.server import Client, Server, open_server
from publisher.core.guard import Limits
from publisher.core.model import Origin
from publisher.polling.cache import StateCache, open_cache
from publisher.polling.poll import Catalog
from publisher.sources import Source
from publisher.sources.factory import SourceFactory, open_source_factory
from publisher.state.store import Store


@dataclass(frozen=True)
class App:
    """What a command works with: the server, a client of it, and the catalogs it named."""

    server: Server
    client: Client
    sources: SourceFactory
    cache: StateCache | None
    catalogs: dict[str, Catalog]

    def build_catalogs(self, settings: Settings, names: Iterable[str]) -> dict[str, Catalog]:
        """Return the catalogs `names` of `settings`, which may be newer than this. ConfigError."""
        return _build_catalogs(settings, names, self.client, self.sources, self.cache)


@asynccontextmanager
async def open_app(
    settings: Settings, names: Iterable[str], mode: EmbeddedMode = EmbeddedMode.START_IF_NEEDED
) -> AsyncIterator[App]:
    """Open server and sources for the catalogs `names`. Raises ConfigError before it opens any.

    Who stays polls again and again, and so remembers.
    """
    for name in names:
        tiktok_shops_of(settings, name)
    async with (
        open_server(settings, mode) as server,
        server.client() as client,
        open_cache() as state_cache,
        open_source_factory(settings, client, server) as sources,
    ):
        cache = state_cache if mode is EmbeddedMode.KEEP_RUNNING else None
        catalogs = _build_catalogs(settings, names, client, sources, cache)
        yield App(server, client, sources, cache, catalogs)


def configured_names(settings: Settings, names: Iterable[str] = ()) -> list[str]:
    """Return `names`, or all configured catalogs if there are none; ConfigError if that is none."""
    chosen = list(dict.fromkeys(names)) or sorted(settings.catalogs)
    if not chosen:
        raise ConfigError(
            "no catalog is configured: add a section [catalogs.NAME] to publisher.toml"
        )
    for name in chosen:
        settings.catalog(name)
    return chosen


def _build_catalogs(
    settings: Settings,
    names: Iterable[str],
    client: Client,
    sources: SourceFactory,
    cache: StateCache | None,
) -> dict[str, Catalog]:
    return {
        name: _build_catalog(settings, name, client, sources.open(name, settings), cache)
        for name in names
    }


def _build_catalog(
    settings: Settings, name: str, client: Client, source: Source, cache: StateCache | None
) -> Catalog:
    catalog = settings.catalog(name)
    return Catalog(
        name=name,
        origin=Origin(**catalog.origin),
        source=source,
        store=Store(client, name),
        limits=Limits(**catalog.guard.model_dump()),
        max_age=catalog.retention.max_age,
        max_events=catalog.retention.max_events,
        poll_every=catalog.poll_every,
        state_cache=cache,
    )
