"""What TikTok Shop asks for besides: an access token that is good, until a test ends it."""

from typing import Final

import orjson
from aiohttp import web

from tests.faults.upstream import Upstream
from tests.sources.refresher import TOKEN_KEY

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


class Tokens:
    """Stands before `upstream`: it is asked with an access token that is good, or not at all."""

    def __init__(self, upstream: Upstream) -> None:
        self.refreshed = 0
        self._upstream = upstream
        self._ended = 0

    def end(self) -> None:
        """Let every access token end that was issued so far."""
        self._ended = self.refreshed + 1

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request (fact sheet, Tokens)."""
        if request.path == REFRESH:
            return self._refresh()
        number = int(request.headers["x-tts-access-token"].removeprefix("access-"))
        if number < self._ended:
            return _enveloped(105002, "Expired credentials", None)
        return await self._upstream.serve(request)

    def _refresh(self) -> web.Response:
        self.refreshed += 1
        data = {
            "access_token": f"access-{self.refreshed}",
            "access_token_expire_in": 4102444800,
            "refresh_token": f"refresh-{self.refreshed}",
            "refresh_token_expire_in": 4102444800,
        }
        return _enveloped(0, "success", data)


def _enveloped(code: int, message: str, data: object) -> web.Response:
    body = {"code": code, "message": message, "request_id": "faults", "data": data}
    return web.Response(body=orjson.dumps(body), content_type="application/json")
