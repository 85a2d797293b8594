"""From settings to the source `tiktok_shop`: one shop or several, and tokens that are shared."""

import time
from collections.abc import Callable, Iterable, Iterator
from weakref import WeakValueDictionary

import aiohttp

from plumbing.config.settings import CatalogSettings, Settings, TikTokShopSettings
from plumbing.config.shops import tiktok_shop_of
from publisher.sources import Source
from publisher.sources.request_limit import RequestLimiter
from publisher.sources.tiktok.client import TikTokClient
from publisher.sources.tiktok.error_codes import AUTHORIZE_COMMAND
from publisher.sources.tiktok.source import TikTokShopSource
from publisher.sources.tiktok.stand_ins import StandInSource
from publisher.sources.tiktok.tokens.pair import TokenStore
from publisher.sources.tiktok.tokens.provider import TokenProvider, token_provider
from publisher.sources.tiktok.tokens.refreshed import Expiry, RefreshedTokens
from publisher.sources.transport import RequestLimits

StoreOf = Callable[[TikTokShopSettings, str], TokenStore]
"""From a shop's settings, and the command that authorizes it, to where its tokens are kept."""


class TikTokSourceFactory:
    """Opens sources `tiktok_shop`; limits and tokens are shared by all catalogs of a shop."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        store_of: StoreOf,
        limiter: RequestLimiter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._store_of = store_of
        self._limiter = limiter
        self._clock = clock
        self._providers: WeakValueDictionary[TikTokShopSettings, TokenProvider] = (
            WeakValueDictionary()
        )

    def open(self, name: str, settings: Settings) -> Source:
        """Return the source of catalog `name`. Raises ConfigError, as `Sources.open` does."""
        catalog = settings.catalog(name)
        first = self._shop(catalog, f"[catalogs.{name}]", *app_of(settings, name))
        if not catalog.stand_ins:
            return first
        others = [
            self._shop(
                catalog.model_copy(update={"shop_cipher": stand_in.shop_cipher}),
                f"stand-in {number} of [catalogs.{name}]",
                *app_of(settings, name, number),
            )
            for number, stand_in in enumerate(catalog.stand_ins, 1)
        ]
        return StandInSource(name, [first, *others])

    def _shop(
        self, catalog: CatalogSettings, section: str, app: TikTokShopSettings, authorize: str
    ) -> TikTokShopSource:
        api = self._api(app, section, authorize, RequestLimits.of(catalog))
        return TikTokShopSource(catalog, api, self._access(app, authorize))

    def _access(self, app: TikTokShopSettings, authorize: str) -> TokenProvider:
        access = self._providers.get(app)
        if access is None:
            api = self._api(app, "[tiktok_shop]", authorize)
            access = token_provider(app, api, self._store_of(app, authorize))
            self._providers[app] = access
        return access

    def _api(
        self,
        app: TikTokShopSettings,
        section: str,
        authorize: str,
        limits: RequestLimits | None = None,
    ) -> TikTokClient:
        return TikTokClient(
            app,
            self._session,
            section=section,
            authorize=authorize,
            limits=limits,
            limiter=self._limiter,
            clock=self._clock,
        )


def token_expiries(sources: Iterable[Source]) -> Iterator[Expiry]:
    """Yield when the tokens of `sources` end, as last seen, where they are ours to refresh."""
    shops = (
        shop
        for source in sources
        for shop in (source.shops if isinstance(source, StandInSource) else [source])
    )
    accesses = {shop.access for shop in shops if isinstance(shop, TikTokShopSource)}
    for access in accesses:
        if isinstance(access, RefreshedTokens) and (expiry := access.expiry):
            yield expiry


def app_of(settings: Settings, name: str, stand_in: int = 0) -> tuple[TikTokShopSettings, str]:
    """Return the app of a catalog, or of a stand-in of it, and the command that authorizes it."""
    app, command = tiktok_shop_of(settings, name, stand_in), AUTHORIZE_COMMAND
    if app != settings.tiktok_shop:
        command += f" --catalog {name}"
        if app != tiktok_shop_of(settings, name):
            command += f" --stand-in {stand_in}"
    return app, command
