"""The composition root: builds from the configuration all that a poll needs."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, fields, replace
from typing import Final

from plumbing.config.settings import Settings
from plumbing.config.shops import tiktok_shops_of
from plumbing.errors import ConfigError
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.server import Client, Server, open_server
from publisher.core.guard import Limits
from publisher.core.model import Origin
from publisher.polling.cache import StateCache
from publisher.polling.poll import Catalog
from publisher.sources.factory import SourceFactory, open_source_factory
from publisher.state.store import Store

ORIGIN_FIELDS: Final = {field.name for field in fields(Origin)}


@dataclass(frozen=True)
class App:
    """The open connections of a command and the catalogs that it polls."""

    server: Server
    client: Client
    sources: SourceFactory
    cache: StateCache | None
    catalogs: Mapping[str, Catalog]

    def build_catalogs(self, settings: Settings, names: Iterable[str]) -> dict[str, Catalog]:
        """Return the catalogs `names` as `settings` configures them.

        After a reload, `settings` are newer than those that the app was opened with. Raises
        ConfigError if a catalog is not configured, or wrongly.
        """
        catalogs = {}
        for name in names:
            catalog = settings.catalog(name)
            catalogs[name] = Catalog(
                name=name,
                origin=Origin(**catalog.model_dump(include=ORIGIN_FIELDS)),
                source=self.sources.open(name, settings),
                store=Store(self.client, name),
                limits=Limits(**catalog.guard.model_dump()),
                **catalog.retention.model_dump(),
                poll_every=catalog.poll_every,
                state_cache=self.cache,
            )
        return catalogs


@asynccontextmanager
async def open_app(
    settings: Settings, names: Iterable[str], mode: EmbeddedMode = EmbeddedMode.START_IF_NEEDED
) -> AsyncIterator[App]:
    """Open the server, and the sources of the catalogs `names`.

    Raises ConfigError before it opens anything. States are cached between polls only for `run`,
    which passes KEEP_RUNNING.
    """
    for name in names:
        tiktok_shops_of(settings, name)
    async with (
        open_server(settings, mode) as server,
        server.client() as client,
        aclosing(StateCache()) as state_cache,
        open_source_factory(settings, client, server) as sources,
    ):
        cache = state_cache if mode is EmbeddedMode.KEEP_RUNNING else None
        app = App(server, client, sources, cache, catalogs={})
        yield replace(app, catalogs=app.build_catalogs(settings, names))


def configured_names(settings: Settings, names: Iterable[str] = ()) -> list[str]:
    """Return `names` without duplicates, or all configured catalogs if it is empty.

    Raises ConfigError if no catalog is configured, or one of `names` is not.
    """
    chosen = list(dict.fromkeys(names)) or sorted(settings.catalogs)
    if not chosen:
        raise ConfigError(
            "no catalog is configured: add a section [catalogs.NAME] to publisher.toml"
        )
    for name in chosen:
        settings.catalog(name)
    return chosen
