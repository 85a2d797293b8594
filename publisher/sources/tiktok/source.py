"""The source `tiktok_shop` asks for the categories (TikTok Shop API, Get Categories)."""

from typing import Final

from plumbing.config.settings import CatalogSettings
from publisher.errors import NotAuthorized, TokenExpired
from publisher.sources import Answer
from publisher.sources.retry import retry_transient
from publisher.sources.tiktok.client import TikTokClient
from publisher.sources.tiktok.tokens.provider import TokenProvider

CATEGORIES: Final = "/product/202309/categories"


class TikTokShopSource:
    """Asks for one market's complete tree; a refused access token is renewed once per fetch."""

    def __init__(self, settings: CatalogSettings, api: TikTokClient, access: TokenProvider) -> None:
        self._query = _query(settings)
        self._api = api
        self.access = access

    async def fetch(self) -> Answer:
        """Return the categories as answered, in their envelope.

        Raises SourceError, of it ShopClosed, TokenError, of it NotAuthorized, RedisError where
        the tokens are kept there, or BadSnapshot for a body over the limit.
        """
        token = await self.access.current()
        try:
            body = await self._ask(token)
        except TokenExpired:
            body = await self._ask_again(await self.access.renewed(token))
        return Answer(body, bare_list=False)

    async def _ask_again(self, token: str) -> bytes:
        try:
            return await self._ask(token)
        except TokenExpired as error:
            raise NotAuthorized(f"a renewed access token is refused too: {error}") from error

    async def _ask(self, token: str) -> bytes:
        return await retry_transient(lambda: self._api.get(CATEGORIES, self._query, token))


def _query(settings: CatalogSettings) -> dict[str, str]:
    """Return the parameters that are set; empty ones must not be sent.

    See TikTok Shop API, Get Categories.
    """
    prohibited = settings.include_prohibited_categories
    parameters = {
        "shop_cipher": settings.shop_cipher,
        "locale": settings.locale,
        "category_version": settings.category_version,
        "listing_platform": settings.listing_platform,
        "include_prohibited_categories": None if prohibited is None else str(prohibited).lower(),
    }
    return {key: value for key, value in parameters.items() if value is not None}
