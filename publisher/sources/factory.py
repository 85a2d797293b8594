"""Opens the sources of a process from its settings.

The modules of a kind of source are imported when the first catalog needs them: aiohttp, 0.2 s, not
for `file`; file locks and cryptography, 0.06 s more, only for `tiktok_shop`.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from plumbing.cli.main import gc_paused
from plumbing.config.settings import Settings, TikTokShopSettings
from plumbing.redis.server import Client, Server
from publisher.sources import Source
from publisher.sources.request_limit import RequestLimiter

if TYPE_CHECKING:
    import aiohttp

    from publisher.sources.tiktok.factory import TikTokSourceFactory, TokenStoreFor
    from publisher.sources.tiktok.tokens.pair import TokenStore


@dataclass(eq=False, repr=False)
class SourceFactory:
    """Opens sources, once per process: catalogs of one shop share limits and tokens.

    `open_session` is called once, for the first source that needs HTTP. The session should not
    limit its connections itself: one host could then delay all others. `limiter` stays the same
    for all sources, even if newer settings have another `polls_at_once`.
    """

    open_session: "Callable[[], aiohttp.ClientSession]"
    token_store_for: "TokenStoreFor"
    limiter: RequestLimiter
    clock: Callable[[], float] = time.time

    def open(self, name: str, settings: Settings) -> Source:
        """Return the source of catalog `name`; sends no request yet.

        Raises ConfigError if the app's key or secret is missing, or if the configured token is
        not valid.
        """
        catalog = settings.catalog(name)
        match catalog.source:
            case "file":
                from publisher.sources.file_source import FileSource  # noqa: PLC0415

                return FileSource(catalog)
            case "http":
                with gc_paused():
                    from publisher.sources.http_source import HttpSource  # noqa: PLC0415

                return HttpSource(catalog, self._session, self.limiter)
            case "tiktok_shop":
                return self._tiktok.open_shops(name, settings)

    @cached_property
    def _session(self) -> "aiohttp.ClientSession":
        return self.open_session()

    @cached_property
    def _tiktok(self) -> "TikTokSourceFactory":
        with gc_paused():
            from publisher.sources.tiktok.factory import TikTokSourceFactory  # noqa: PLC0415

        return TikTokSourceFactory(self._session, self.token_store_for, self.limiter, self.clock)


@asynccontextmanager
async def open_source_factory(
    settings: Settings, client: Client, server: Server
) -> AsyncIterator[SourceFactory]:
    """Open a factory of sources, and close its HTTP session at the end.

    `client` and `server` are for tokens in Redis.
    """
    async with AsyncExitStack() as stack:

        def session() -> "aiohttp.ClientSession":
            from publisher.sources.transport import open_session  # noqa: PLC0415

            opened = open_session()
            stack.push_async_callback(opened.close)
            return opened

        def token_store_for(shop: TikTokShopSettings, command: str) -> "TokenStore":
            from publisher.sources.tiktok.tokens.stores import token_store  # noqa: PLC0415

            return token_store(shop, settings.data_dir, client, server, command)

        yield SourceFactory(session, token_store_for, RequestLimiter(settings.polls_at_once))
