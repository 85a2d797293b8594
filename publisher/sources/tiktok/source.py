"""The source `tiktok_shop` requests the categories of one shop.

See TikTok Shop API, Get Categories.
"""

from typing import Final

from plumbing.config.settings import CatalogSettings
from publisher.errors import NotAuthorized, TokenExpired
from publisher.sources import Answer
from publisher.sources.retry import retry_transient
from publisher.sources.tiktok.client import TikTokClient
from publisher.sources.tiktok.tokens.provider import TokenProvider

CATEGORIES: Final = "/product/202309/categories"
PARAMETERS: Final = {
    "shop_cipher",
    "locale",
    "category_version",
    "listing_platform",
    "include_prohibited_categories",
}
"""Settings that are sent under their own name; TikTok Shop refuses empty ones."""


class TikTokShopSource:
    """Requests the tree of one market; renews a refused access token once per fetch."""

    def __init__(
        self, settings: CatalogSettings, client: TikTokClient, tokens: TokenProvider
    ) -> None:
        self._query = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in settings.model_dump(include=PARAMETERS, exclude_none=True).items()
        }
        self._client = client
        self.tokens = tokens

    async def fetch(self) -> Answer:
        """Return the categories as answered, in their envelope.

        Raises SourceError (its subclass ShopClosed if another shop may answer), TokenError (its
        subclass NotAuthorized if another shop may answer), RedisError if the tokens are in Redis
        and it fails, and BadSnapshot for a body over the limit.
        """
        token = await self.tokens.current()
        try:
            body = await self._request(token)
        except TokenExpired:
            token = await self.tokens.renew(token)
            try:
                body = await self._request(token)
            except TokenExpired as error:
                raise NotAuthorized(f"a renewed access token is refused too: {error}") from error
        return Answer(body, bare_list=False)

    async def _request(self, token: str) -> bytes:
        return await retry_transient(lambda: self._client.get(CATEGORIES, self._query, token))
