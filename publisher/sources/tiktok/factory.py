"""Opens sources `tiktok_shop`: one shop or several, with shared tokens."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from weakref import WeakValueDictionary

import aiohttp

from plumbing.config.settings import Settings, TikTokShopSettings
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


@dataclass(eq=False, repr=False)
class TikTokSourceFactory:
    """Opens sources `tiktok_shop`; the catalogs of a shop share limit and tokens."""

    session: aiohttp.ClientSession
    token_store_for: TokenStoreFor
    limiter: RequestLimiter
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self._client = partial(
            TikTokClient, session=self.session, limiter=self.limiter, clock=self.clock
        )
        self._providers = WeakValueDictionary[TikTokShopSettings, TokenProvider]()

    def open_shops(self, name: str, settings: Settings) -> Source:
        """Return the source of catalog `name`.

        Raises ConfigError as `SourceFactory.open` does.
        """
        count = 1 + len(settings.catalog(name).stand_ins)
        shops = [self._shop(name, settings, stand_in) for stand_in in range(count)]
        return StandInSource(name, shops) if count > 1 else shops[0]

    def _shop(self, name: str, settings: Settings, stand_in: int) -> TikTokShopSource:
        """Return the source of the catalog's first shop, 0, or of a fallback shop, from 1."""
        catalog, section = settings.catalog(name), f"[catalogs.{name}]"
        if stand_in:
            fallback = catalog.stand_ins[stand_in - 1]
            catalog = catalog.model_copy(update={"shop_cipher": fallback.shop_cipher})
            section = f"entry {stand_in} of stand_ins in {section}"
        app, command = app_and_command(settings, name, stand_in)
        client = self._client(
            app, section=section, authorize_command=command, limits=RequestLimits.of(catalog)
        )
        tokens = self._providers.get(app)
        if tokens is None:
            token_client = self._client(app, section="[tiktok_shop]", authorize_command=command)
            tokens = token_provider(app, token_client, self.token_store_for(app, command))
            self._providers[app] = tokens
        return TikTokShopSource(catalog, client, tokens)


def token_expiries(sources: Iterable[Source]) -> Iterator[TokenExpiry]:
    """Yield the expiries, if known, of the refreshed tokens of `sources`."""
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
