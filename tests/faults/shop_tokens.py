"""What TikTok Shop asks for besides: an access token that is good, until a test ends it.

A refresh token is good for one refresh. Who has lost the answer may ask with it again, until the
pair in that answer is used: so who uses a pair before it is stored, and dies, has none any more.
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
"""In a publisher's environment."""


class ShopTokens:
    """Stands before `upstream`: it is asked with an access token that is good, or not at all."""

    def __init__(self, upstream: ChangingSource) -> None:
        self.refreshed = 0
        self.refused = 0
        """Refreshes that were asked for with a refresh token that was spent."""
        self._used = 0
        self._upstream = upstream
        self._ended = 0

    def begin(self) -> None:
        """Have only the first pair again, whose access token has ended."""
        self.refreshed = self._used = 0
        self.end()

    def end(self) -> None:
        """Let every access token end that was issued so far."""
        self._ended = self.refreshed + 1

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request (TikTok Shop API, Tokens)."""
        if request.path == REFRESH:
            return self._refresh(request.query["refresh_token"])
        number = int(request.headers["x-tts-access-token"].removeprefix("access-"))
        self._used = max(self._used, number)
        if number < self._ended:
            return _enveloped(105002, "Expired credentials", None)
        return await self._upstream.serve(request)

    def _refresh(self, token: str) -> web.Response:
        if int(token.removeprefix("refresh-")) < self._used:
            self.refused += 1
            return _enveloped(36004001, "refresh_token is expired", None)
        self.refreshed += 1
        data = {
            "access_token": f"access-{self.refreshed}",
            "access_token_expire_in": 4102444800,
            "refresh_token": f"refresh-{self.refreshed}",
            "refresh_token_expire_in": 4102444800,
        }
        return _enveloped(0, "success", data)


@asynccontextmanager
async def shop_of(system: System) -> AsyncIterator[ShopTokens]:
    """Have `system`'s source be TikTok Shop."""
    tokens = ShopTokens(system.source)
    async with serve_http(tokens.serve) as url:
        shop = url.rstrip("/")
        system.variables |= SECRETS
        system.checker.origins = [ORIGIN | {"source": "tiktok_shop"}]
        system.source_settings = 'source = "tiktok_shop"\nshop_cipher = "cipher"'
        system.catalog_settings += f'[tiktok_shop]\napi_url = "{shop}"\nauth_url = "{shop}"\n'
        yield tokens


def _enveloped(code: int, message: str, data: object) -> web.Response:
    body = {"code": code, "message": message, "request_id": "faults", "data": data}
    return web.Response(body=orjson.dumps(body), content_type="application/json")
