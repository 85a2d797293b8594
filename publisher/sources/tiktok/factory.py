"""Opens sources `tiktok_shop` from settings: one shop or several, with shared tokens."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
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
from publisher.sources.tiktok.tokens.refreshed import RefreshedTokens, TokenExpiry
from publisher.sources.transport import RequestLimits

TokenStoreFor = Callable[[TikTokShopSettings, str], TokenStore]
"""From a shop's settings and the command that authorizes it to the store of its tokens."""


class TikTokSourceFactory:
    """Opens sources `tiktok_shop`. All catalogs of a shop share its limit and its tokens."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        token_store_for: TokenStoreFor,
        limiter: RequestLimiter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._token_store_for = token_store_for
        self._client = partial(TikTokClient, session=session, limiter=limiter, clock=clock)
        self._providers: WeakValueDictionary[TikTokShopSettings, TokenProvider] = (
            WeakValueDictionary()
        )

    def open(self, name: str, settings: Settings) -> Source:
        """Return the source of catalog `name`; raises ConfigError as `SourceFactory.open` does."""
        catalog = settings.catalog(name)
        first = self._shop(catalog, f"[catalogs.{name}]", *app_and_command(settings, name))
        if not catalog.stand_ins:
            return first
        fallbacks = [
            self._shop(
                catalog.model_copy(update={"shop_cipher": stand_in.shop_cipher}),
                f"entry {number} of stand_ins in [catalogs.{name}]",
                *app_and_command(settings, name, number),
            )
            for number, stand_in in enumerate(catalog.stand_ins, 1)
        ]
        return StandInSource(name, [first, *fallbacks])

    def _shop(
        self, catalog: CatalogSettings, section: str, app: TikTokShopSettings, command: str
    ) -> TikTokShopSource:
        client = self._client(
            app, section=section, authorize_command=command, limits=RequestLimits.of(catalog)
        )
        tokens = self._providers.get(app)
        if tokens is None:
            token_client = self._client(app, section="[tiktok_shop]", authorize_command=command)
            tokens = token_provider(app, token_client, self._token_store_for(app, command))
            self._providers[app] = tokens
        return TikTokShopSource(catalog, client, tokens)


def token_expiries(sources: Iterable[Source]) -> Iterator[TokenExpiry]:
    """Yield the known expiries of the tokens of `sources` that this publisher refreshes."""
    shops = (
        shop
        for source in sources
        for shop in (source.shops if isinstance(source, StandInSource) else [source])
    )
    for tokens in {shop.tokens for shop in shops if isinstance(shop, TikTokShopSource)}:
        if isinstance(tokens, RefreshedTokens) and (expiry := tokens.expiry):
            yield expiry


def app_and_command(
    settings: Settings, name: str, stand_in: int = 0
) -> tuple[TikTokShopSettings, str]:
    """Return the app of catalog `name` and the command that authorizes it.

    `stand_in`: those of the catalog's fallback shop of this number, counted from 1.
    """
    app, command = tiktok_shop_of(settings, name, stand_in), AUTHORIZE_COMMAND
    if app != settings.tiktok_shop:
        command += f" --catalog {name}"
        if app != tiktok_shop_of(settings, name):
            command += f" --stand-in {stand_in}"
    return app, command
