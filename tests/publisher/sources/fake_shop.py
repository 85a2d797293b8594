"""A scripted TikTok Shop on loopback, which records the requests.

The sandbox checks the client as a whole, this shop each single answer.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

from plumbing.config.settings import Settings

CATEGORIES = "/product/202309/categories"
SHOPS = "/authorization/202309/shops"
GET_TOKEN = "/api/v2/token/get"
REFRESH = "/api/v2/token/refresh"
TOKEN_KEY = "a2V5LW9mLXRoZS10ZXN0cy0zMi1ieXRlcy1sb25nISE="
"""Encrypts tokens in Redis."""
GOOD_DATA = {"categories": [{"id": "1", "parent_id": "0", "local_name": "Home", "is_leaf": True}]}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class ReceivedRequest:
    """A request: its path, query and headers, and when it arrived (monotonic seconds)."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    at: float


def envelope(
    code: int = 0,
    message: str = "Success",
    data: Any = None,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Answer with TikTok Shop's envelope."""

    async def answer(_: web.Request) -> web.StreamResponse:
        body = {"code": code, "message": message, "request_id": "req-7", "data": data}
        return web.json_response(body, status=status, headers=headers)

    return answer


def raw_answer(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """Answer with `body` as it is."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=headers)

    return answer


def pair_data(number: int, *, life: int = 7 * 24 * 3600, **more: Any) -> dict[str, Any]:
    """Return the `data` of a token answer: access-`number`, refresh-`number`."""
    return {
        "access_token": f"access-{number}",
        "access_token_expire_in": int(time.time()) + life,
        "refresh_token": f"refresh-{number}",
        "refresh_token_expire_in": 2**33,
        "user_type": 0,
        "seller_name": "Ann's shop",
        "seller_base_region": "US",
        "granted_scopes": ["seller.product.basic"],
        **more,
    }


def settings_at(
    url: str, folder: Path, catalog: dict[str, Any] | None = None, **tiktok_shop: Any
) -> Settings:
    """Return settings whose catalog `us` is the shop's at `url`; tokens in `folder`."""
    return Settings.model_validate(
        {
            "catalogs": {"us": {"source": "tiktok_shop", **(catalog or {})}},
            "tiktok_shop": {
                "api_url": url,
                "auth_url": url,
                "app_key": "key-1",
                "app_secret": "hush-app",
                "access_token": "access-0",
                "refresh_token": "refresh-0",
                "token_file": folder / "tokens.json",
                **tiktok_shop,
            },
        }
    )


class FakeShop:
    """A shop to use as `async with`; `answers` has a script per path.

    A script's last answer is repeated.
    """

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.answers: dict[str, list[Answer]] = {CATEGORIES: [envelope(data=GOOD_DATA)]}
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        """Where it listens, without a trailing slash."""
        return str(self._server.make_url("")).rstrip("/")

    def requests_for(self, path: str) -> list[ReceivedRequest]:
        """Return the requests for `path`, in their order."""
        return [each for each in self.requests if each.path == path]

    def settings(
        self, folder: Path, catalog: dict[str, Any] | None = None, **tiktok_shop: Any
    ) -> Settings:
        """Return settings whose catalog `us` is this shop's; tokens in `folder`."""
        return settings_at(self.url, folder, catalog, **tiktok_shop)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(
            ReceivedRequest(
                request.path, dict(request.query), dict(request.headers), time.monotonic()
            )
        )
        script = self.answers[request.path]
        return await (script.pop(0) if len(script) > 1 else script[0])(request)
