"""The tokens of TikTok Shop, which expire when a test wants.

A refresh token is valid for one refresh. It may be used again until an access token of the pair in
the answer is used, so that a lost answer is no loss. A client that uses a pair before it has stored
it, and dies, has no valid token any more.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import orjson
from aiohttp import web

from tests.faults.changing_source import ChangingSource, serve_http
from tests.faults.system import System
from tests.publisher.sources.fake_shop import TOKEN_KEY
from tests.support.contract import ORIGIN

REFRESH: Final = "/api/v2/token/refresh"
PREFIX: Final = "CATEGORY_PUBLISHER_TIKTOK_SHOP__"
SECRETS: Final = {
    f"{PREFIX}APP_KEY": "app",
    f"{PREFIX}APP_SECRET": "secret-of-the-tests",
    f"{PREFIX}ACCESS_TOKEN": "access-0",
    f"{PREFIX}REFRESH_TOKEN": "refresh-0",
    f"{PREFIX}TOKEN_KEY": TOKEN_KEY,
}
"""Environment variables of a publisher."""


class ShopTokens:
    """Answers requests with a valid access token from `source`, and refreshes tokens."""

    def __init__(self, source: ChangingSource) -> None:
        self.refreshed = 0
        self.refused = 0
        """Refreshes that were rejected, because their refresh token had been used."""
        self._used = 0
        self._source = source
        self._first_valid = 0

    def reset(self) -> None:
        """Make only the first pair valid, with an expired access token."""
        self.refreshed = self._used = 0
        self.expire()

    def expire(self) -> None:
        """Let every access token expire that was issued so far."""
        self._first_valid = self.refreshed + 1

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request (TikTok Shop API, Tokens)."""
        if request.path == REFRESH:
            return self._refresh(request.query["refresh_token"])
        number = int(request.headers["x-tts-access-token"].removeprefix("access-"))
        self._used = max(self._used, number)
        if number < self._first_valid:
            return _envelope(105002, "Expired credentials", None)
        return await self._source.serve(request)

    def _refresh(self, token: str) -> web.Response:
        if int(token.removeprefix("refresh-")) < self._used:
            self.refused += 1
            return _envelope(36004001, "refresh_token is expired", None)
        self.refreshed += 1
        data = {
            "access_token": f"access-{self.refreshed}",
            "access_token_expire_in": 4102444800,
            "refresh_token": f"refresh-{self.refreshed}",
            "refresh_token_expire_in": 4102444800,
        }
        return _envelope(0, "success", data)


@asynccontextmanager
async def open_shop(system: System) -> AsyncIterator[ShopTokens]:
    """Make TikTok Shop the source of `system`."""
    tokens = ShopTokens(system.source)
    async with serve_http(tokens.serve) as url:
        shop = url.rstrip("/")
        system.variables |= SECRETS
        system.checker.origins = [ORIGIN | {"source": "tiktok_shop"}]
        system.source_settings = 'source = "tiktok_shop"\nshop_cipher = "cipher"'
        system.catalog_settings += f'[tiktok_shop]\napi_url = "{shop}"\nauth_url = "{shop}"\n'
        yield tokens


def _envelope(code: int, message: str, data: object) -> web.Response:
    body = {"code": code, "message": message, "request_id": "faults", "data": data}
    return web.Response(body=orjson.dumps(body), content_type="application/json")
