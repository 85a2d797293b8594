"""From a catalog's settings to its source, and what the sources of a process share."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple
from weakref import WeakValueDictionary

import aiohttp

from plumbing.config import CatalogSettings, Settings, TikTokShopSettings
from publisher.sources import Source
from publisher.sources.access import Access, access_of
from publisher.sources.api import Api
from publisher.sources.file import File
from publisher.sources.http import Http
from publisher.sources.own_tokens import OwnTokens
from publisher.sources.stand_ins import StandIns
from publisher.sources.tiktok_shop import TikTokShop
from publisher.sources.token_file import TokenFile
from publisher.sources.tokens import TokenStore
from publisher.sources.transport import Limits
from publisher.sources.turns import Turns

StoreOf = Callable[[TikTokShopSettings], TokenStore]


class Expiry(NamedTuple):
    """When tokens end, in Unix seconds; None where unknown. `place` is where they are kept."""

    place: str
    access_token: float | None
    refresh_token: float | None


class Sources:
    """Opens sources. One per process: limits and tokens are shared by all catalogs of a shop.

    `session` stays the caller's to close, and should not limit its connections, since that would
    let one host hold up the others. `store_of` says where tokens are kept (`token_vault.kept`).
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        store_of: StoreOf = lambda settings: TokenFile(settings.token_file),
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._store_of = store_of
        self._clock = clock
        self._turns: dict[int, Turns] = {}
        self._accesses: WeakValueDictionary[TikTokShopSettings, Access] = WeakValueDictionary()

    def open(self, name: str, settings: Settings) -> Source:
        """Return the source of catalog `name`; nothing is asked yet.

        Raises ConfigError if the app's key or secret is missing, or if the configured token is
        none.
        """
        catalog = settings.catalog(name)
        turns = self._turns.setdefault(settings.polls_at_once, Turns(settings.polls_at_once))
        match catalog.source:
            case "file":
                return File(catalog)
            case "http":
                return Http(catalog, self._session, turns)
            case "tiktok_shop":
                return self._market(name, settings, turns)

    def expiries(self) -> Iterator[Expiry]:
        """Yield when the tokens that are ours to refresh end, as last seen."""
        for access in self._accesses.values():
            if isinstance(access, OwnTokens) and (pair := access.seen):
                yield Expiry(
                    access.place, pair.access_token_expires_at, pair.refresh_token_expires_at
                )

    def _market(self, name: str, settings: Settings, turns: Turns) -> Source:
        catalog = settings.catalog(name)
        app, *apps = settings.tiktok_shops_of(name)
        first = self._shop(catalog, app, f"[catalogs.{name}]", turns)
        if not catalog.stand_ins:
            return first
        others = [
            self._shop(
                catalog.model_copy(update={"shop_cipher": stand_in.shop_cipher}),
                app,
                f"stand-in {number} of [catalogs.{name}]",
                turns,
            )
            for number, (stand_in, app) in enumerate(zip(catalog.stand_ins, apps, strict=True), 1)
        ]
        return StandIns(name, [first, *others])

    def _shop(
        self, catalog: CatalogSettings, app: TikTokShopSettings, section: str, turns: Turns
    ) -> Source:
        limits = Limits.of(catalog)
        api = Api(
            app, self._session, section=section, limits=limits, turns=turns, clock=self._clock
        )
        return TikTokShop(catalog, api, self._access(app, turns))

    def _access(self, app: TikTokShopSettings, turns: Turns) -> Access:
        access = self._accesses.get(app)
        if access is None:
            api = Api(app, self._session, section="[tiktok_shop]", turns=turns, clock=self._clock)
            access = self._accesses[app] = access_of(app, api, self._store_of(app))
        return access
