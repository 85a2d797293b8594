"""What `category-publisher run` runs: the daemon, and how it takes over a new configuration."""

from collections.abc import Callable
from typing import Final

import structlog

from plumbing.command import reloading
from plumbing.config import Settings
from plumbing.embedded import Stay
from plumbing.errors import Error
from publisher.app import App, configured, opened_app
from publisher.daemon import Daemon
from publisher.lease import Leases

log = structlog.get_logger(__name__)

LIVE: Final = frozenset({"catalogs", "tiktok_shop"})
"""Settings that a reload takes over; the others stand until a restart."""


async def run(settings: Settings, load: Callable[[], Settings]) -> int:
    """Keep all configured catalogs in sync until cancelled.

    SIGHUP lets it `load` the settings again and go on with those. Raises Error.
    """
    async with opened_app(settings, configured(settings), Stay.KEEP) as app:
        leases = Leases(app.client, settings.lease)
        log.info(
            "running",
            catalogs=len(app.catalogs),
            redis=app.server.address,
            publisher=leases.owner,
        )
        daemon = Daemon(app.server, app.client, leases, app.catalogs)
        with reloading(Reload(app, daemon, settings, load)):
            await daemon.run()


class Reload:
    """Takes over a new configuration, or goes on with the old one if the new one is wrong."""

    def __init__(
        self, app: App, daemon: Daemon, settings: Settings, load: Callable[[], Settings]
    ) -> None:
        self._app = app
        self._daemon = daemon
        self._settings = settings
        self._load = load

    def __call__(self) -> None:
        """Read the settings; what has changed about the catalogs holds from now on."""
        try:
            new = self._load()
            changed = self._app.built(new, self._changed(new))
        except Error as error:
            log.error("configuration is wrong, going on with the old one", error=str(error))  # noqa: TRY400  no traceback for a user's mistake
            return
        gone = self._settings.catalogs.keys() - new.catalogs.keys()
        self._daemon.replace(changed, gone)
        log.info("configuration is taken over", changed=sorted(changed), removed=sorted(gone))
        if waiting := self._waiting(new):
            log.warning("restart to take over other settings", settings=waiting)
        self._settings = new

    def _changed(self, new: Settings) -> list[str]:
        """Return the catalogs that are new, or of which anything is another than before."""
        old = self._settings
        return [
            name
            for name in configured(new)
            if name not in old.catalogs or _about(new, name) != _about(old, name)
        ]

    def _waiting(self, new: Settings) -> list[str]:
        old, fields = self._settings, type(new).model_fields.keys() - LIVE
        return sorted(name for name in fields if getattr(new, name) != getattr(old, name))


def _about(settings: Settings, name: str) -> object:
    catalog = settings.catalog(name)
    return catalog, settings.tiktok_shop_of(name) if catalog.source == "tiktok_shop" else None
