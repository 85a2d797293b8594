"""The service behind `run`: daemon, HTTP server, systemd and reloads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
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

RELOADABLE: Final = frozenset({"catalogs", "tiktok_shop"})
"""The settings that a reload applies; the others need a restart."""


async def run_service(settings: Settings, load: Callable[[], Settings]) -> int:
    """Keep all configured catalogs in sync until cancelled.

    On SIGHUP it calls `load` for the new settings. Raises Error.
    """
    notifier = SystemdNotifier.from_environment()
    must_listen = "http_listen" in settings.model_fields_set
    async with open_app(settings, configured_names(settings), EmbeddedMode.KEEP_RUNNING) as app:
        leases = Leases(app.client, settings.lease)
        metrics = Metrics(token_expiries)
        daemon = Daemon(app.server, app.client, leases, app.catalogs, metrics)
        async with (
            http_server(settings.http_listen, daemon, metrics, required=must_listen),
            systemd_notifications(notifier, daemon),
        ):
            await wait_until_available(app.server)
            log.info(
                "running",
                catalogs=len(app.catalogs),
                redis=app.server.address,
                publisher=leases.owner,
            )
            for warning in await durability_warnings(app.server):
                log.warning("redis may lose data", what=warning)
            with reloading(ConfigReload(app, daemon, settings, load, notifier)):
                await daemon.run()


@asynccontextmanager
async def systemd_notifications(notifier: SystemdNotifier, daemon: Daemon) -> AsyncIterator[None]:
    """Notify systemd when `daemon` is ready, while it is alive, and when it stops."""

    async def notify_when_ready() -> None:
        await daemon.ready.wait()
        notifier.ready()

    with ExitStack() as at_the_end:
        at_the_end.callback(notifier.stopping)
        for work in (notify_when_ready(), notifier.watchdog()):
            at_the_end.callback(asyncio.create_task(work).cancel)
        yield


@dataclass
class ConfigReload:
    """Applies a new configuration while the daemon runs, or keeps the old one."""

    app: App
    daemon: Daemon
    settings: Settings
    load: Callable[[], Settings]
    notifier: SystemdNotifier

    def __call__(self) -> None:
        """Load the settings and apply them, or log why not."""
        self.notifier.reloading()
        try:
            self._apply(self.load())
        except Error as error:
            log.warning("reload rejected, keeping the old configuration", error=str(error))
        self.notifier.ready()

    def _apply(self, new: Settings) -> None:
        """Replace the catalogs that differ. Raises Error before anything is changed."""
        old = self.settings
        if new.data_dir != old.data_dir:  # else new catalogs would have their tokens elsewhere
            raise ConfigError(
                f"data_dir has changed from {old.data_dir} to {new.data_dir}: restart to apply "
                "that, and all else that has changed"
            )
        different = [
            name
            for name in configured_names(new)
            if _settings_of_catalog(new, name) != _settings_of_catalog(old, name)
        ]
        changed = self.app.build_catalogs(new, different)
        removed = old.catalogs.keys() - new.catalogs.keys()
        self.daemon.replace(changed, removed)
        self.settings = new
        log.info("configuration reloaded", changed=sorted(changed), removed=sorted(removed))
        others = type(new).model_fields.keys() - RELOADABLE
        if differing := sorted(name for name in others if getattr(new, name) != getattr(old, name)):
            log.warning("restart needed to apply other settings", settings=differing)


def _settings_of_catalog(settings: Settings, name: str) -> object:
    """Return all settings that a poll of the catalog depends on, to be compared.

    Returns None if the catalog is not configured.
    """
    catalog = settings.catalogs.get(name)
    if catalog is None or catalog.source != "tiktok_shop":
        return catalog
    return catalog, tiktok_shops_of(settings, name)
