"""From a catalog's settings to its source, and what the sources of a process share.

What a kind of source needs is imported for the first catalog that has it: aiohttp, 0.2 s, not for
`file`, and for `tiktok_shop` 0.06 s more, since tokens bring file locks and cryptography along.
"""

import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from plumbing.cli.main import gc_paused
from plumbing.config.settings import Settings, TikTokShopSettings
from publisher.sources import Source
from publisher.sources.request_limit import RequestLimiter

if TYPE_CHECKING:
    import aiohttp

    from publisher.sources.tiktok.factory import StoreOf, TikTokSourceFactory
    from publisher.sources.tiktok.tokens.pair import TokenStore


def _in_files(settings: TikTokShopSettings, authorize: str) -> "TokenStore":
    from publisher.sources.tiktok.tokens.file_store import FileTokenStore  # noqa: PLC0415

    return FileTokenStore(settings.token_file, authorize)


class SourceFactory:
    """Opens sources. One per process: limits and tokens are shared by all catalogs of a shop.

    `session` is called once, by the first source that asks an address; what it opens stays the
    caller's to close, and should not limit its connections, since that would let one host hold up
    the others. `store_of` says where tokens are kept (`token_place.kept`).
    `turns` holds for all that is ever opened, whatever newer settings say.
    """

    def __init__(
        self,
        session: "Callable[[], aiohttp.ClientSession]",
        store_of: "StoreOf" = _in_files,
        *,
        limiter: RequestLimiter | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._opened_session = session
        self._store_of = store_of
        self._clock = clock
        self._limiter = limiter or RequestLimiter()

    def open(self, name: str, settings: Settings) -> Source:
        """Return the source of catalog `name`; nothing is asked yet.

        Raises ConfigError if the app's key or secret is missing, or if the configured token is
        none.
        """
        catalog = settings.catalog(name)
        match catalog.source:
            case "file":
                from publisher.sources.file_source import FileSource  # noqa: PLC0415

                return FileSource(catalog)
            case "http":
                with gc_paused():
                    from publisher.sources.http_source import HttpSource  # noqa: PLC0415

                return HttpSource(catalog, self._session, self._limiter)
            case "tiktok_shop":
                return self._market.open(name, settings)

    @cached_property
    def _session(self) -> "aiohttp.ClientSession":
        return self._opened_session()

    @cached_property
    def _market(self) -> "TikTokSourceFactory":
        with gc_paused():
            from publisher.sources.tiktok.factory import TikTokSourceFactory  # noqa: PLC0415

        return TikTokSourceFactory(self._session, self._store_of, self._limiter, self._clock)
