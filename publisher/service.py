"""What `category-publisher run` runs: the daemon, what tells of it, and its new configuration."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from plumbing import logs
from plumbing.cli.signals import reloading
from plumbing.config.settings import Settings
from plumbing.config.shops import tiktok_shops_of
from plumbing.errors import ConfigError, Error
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.server import wait_until_available
from plumbing.redis.server_checks import durability_warnings
from plumbing.systemd import SystemdNotifier
from publisher.app import App, configured_names, open_app
from publisher.polling.daemon import Daemon
from publisher.polling.leases import Leases
from publisher.sources.tiktok.factory import token_expiries
from publisher.web import Metrics, http_server

log = logs.logger(__name__)

LIVE: Final = frozenset({"catalogs", "tiktok_shop"})
"""Settings that a reload takes over; the others stand until a restart."""


async def run(settings: Settings, load: Callable[[], Settings]) -> int:
    """Keep all configured catalogs in sync until cancelled.

    SIGHUP lets it `load` the settings again and go on with those. Raises Error.
    """
    notify = SystemdNotifier.from_environment()
    is_required = "http_listen" in settings.model_fields_set
    async with open_app(settings, configured_names(settings), EmbeddedMode.KEEP_RUNNING) as app:
        leases = Leases(app.client, settings.lease)
        metrics = Metrics(token_expiries)
        daemon = Daemon(app.server, app.client, leases, app.catalogs, metrics)
        async with (
            http_server(settings.http_listen, daemon, metrics, required=is_required),
            systemd_notifications(notify, daemon),
        ):
            await wait_until_available(app.server)
            await _tell(app, leases)
            with reloading(ConfigReload(app, daemon, settings, load, notify)):
                await daemon.run()


async def _tell(app: App, leases: Leases) -> None:
    log.info(
        "running",
        catalogs=len(app.catalogs),
        redis=app.server.address,
        publisher=leases.owner,
    )
    for warning in await durability_warnings(app.server):
        log.warning("redis may lose what is kept there", what=warning)


@asynccontextmanager
async def systemd_notifications(notify: SystemdNotifier, daemon: Daemon) -> AsyncIterator[None]:
    """Tell systemd when `daemon` is ready, that it lives, and when it stops."""

    async def tell() -> None:
        await daemon.ready.wait()
        notify.ready()

    tasks = [asyncio.create_task(tell()), asyncio.create_task(notify.watchdog())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        notify.stopping()


class ConfigReload:
    """Takes over a new configuration, or goes on with the old one if the new one is wrong."""

    def __init__(
        self,
        app: App,
        daemon: Daemon,
        settings: Settings,
        load: Callable[[], Settings],
        notify: SystemdNotifier,
    ) -> None:
        self._app = app
        self._daemon = daemon
        self._settings = settings
        self._load = load
        self._notify = notify

    def __call__(self) -> None:
        """Read the settings; what has changed about the catalogs holds from now on."""
        self._notify.reloading()
        self._take_over()
        self._notify.ready()

    def _take_over(self) -> None:
        try:
            new = self._load()
            self._check_data_dir(new)
            changed = self._app.build_catalogs(new, self._changed(new))
        except Error as error:
            log.warning("configuration is not taken over, the old one goes on", error=str(error))
            return
        gone = self._settings.catalogs.keys() - new.catalogs.keys()
        self._daemon.replace(changed, gone)
        log.info("configuration is taken over", changed=sorted(changed), removed=sorted(gone))
        if waiting := self._waiting(new):
            log.warning("restart to take over other settings", settings=waiting)
        self._settings = new

    def _check_data_dir(self, new: Settings) -> None:
        """Raise ConfigError if tokens would be looked for in another place than the others are."""
        if new.data_dir != self._settings.data_dir:
            raise ConfigError(
                f"data_dir has changed from {self._settings.data_dir} to {new.data_dir}: restart "
                "to take that over, and all else that has changed"
            )

    def _changed(self, new: Settings) -> list[str]:
        """Return the catalogs that are new, or of which anything is another than before."""
        old = self._settings
        return [
            name
            for name in configured_names(new)
            if name not in old.catalogs
            or _settings_of_catalog(new, name) != _settings_of_catalog(old, name)
        ]

    def _waiting(self, new: Settings) -> list[str]:
        old, fields = self._settings, type(new).model_fields.keys() - LIVE
        return sorted(name for name in fields if getattr(new, name) != getattr(old, name))


def _settings_of_catalog(settings: Settings, name: str) -> object:
    catalog = settings.catalog(name)
    return catalog, tiktok_shops_of(settings, name) if catalog.source == "tiktok_shop" else None
