"""The gateway in front of the API: which requests TikTok Shop lets through.

The order of the checks is the real one as far as it is known: path, app, time, signature, token,
scope, and the endpoint's own parameters last.
"""

import math
import re
from typing import Final

from aiohttp import web

from publisher.sandbox import signature
from publisher.sandbox.limit import Bucket
from publisher.sandbox.options import CATEGORY_SCOPE, SHOP_SCOPE, SandboxOptions
from publisher.sandbox.responses import (
    BAD_SIGN,
    INVALID,
    NEEDS_V2,
    NO_CIPHER,
    NO_SCOPE,
    OTHER_SHOP,
    TOO_MANY,
    Refused,
)
from publisher.sandbox.signature import same
from publisher.sandbox.tokens import Tokens

OLDEST: Final = 5 * 60
EARLIEST: Final = 30
"""Seconds that a timestamp may lie behind and ahead (TikTok Shop API, Get Categories)."""
TOKEN_HEADER: Final = "x-tts-access-token"  # noqa: S105  a name, no secret
CLOSED_VALUES: Final = {
    "category_version": ("v1", "v2"),
    "listing_platform": ("TIKTOK_SHOP", "TOKOPEDIA"),
    "include_prohibited_categories": ("true", "false"),
}


class Gate:
    """Judges requests; each check raises Refused."""

    def __init__(self, options: SandboxOptions, tokens: Tokens) -> None:
        self._options = options
        self._tokens = tokens
        limit = options.rate_limit
        self._bucket = None if limit is None else Bucket(limit, options.clock)

    async def check_categories(self, request: web.Request) -> None:
        """Let a Get Categories request through, or raise Refused."""
        await self._check_caller(request, CATEGORY_SCOPE)
        self._check_cipher(request)
        self._check_parameters(request)

    async def check_shops(self, request: web.Request) -> None:
        """Let a Get Authorized Shops request through, or raise Refused."""
        await self._check_caller(request, SHOP_SCOPE)
        if "shop_cipher" in request.query:
            raise Refused(
                INVALID,
                "Unexpected identifier. The `shop_cipher` query parameter is not required for "
                "this request.",
            )

    def check_app(self, request: web.Request, grant_type: str) -> None:
        """Let a request for tokens through, or raise Refused."""
        _check_form(request)
        query = request.query
        if not (
            same(query.get("app_key", ""), self._options.app_key)
            and same(query.get("app_secret", ""), self._options.app_secret)
        ):
            raise _invalid("Invalid credentials. Invalid `app_key` or `app_secret`")
        if query.get("grant_type") != grant_type:
            raise _invalid(f"Invalid request. `{grant_type}` has to be the `grant_type`")

    async def _check_caller(self, request: web.Request, scope: str) -> None:
        self._check_rate()
        _check_form(request)
        if not same(request.query.get("app_key", ""), self._options.app_key):
            raise _invalid("Invalid credentials. Invalid `app_key`")
        self._check_time(request.query.get("timestamp", ""))
        await self._check_signature(request)
        _check_headers(request)
        self._tokens.check_access(request.headers[TOKEN_HEADER])
        if scope not in self._options.scopes:
            raise Refused(NO_SCOPE)

    def _check_rate(self) -> None:
        wait = self._bucket.take() if self._bucket else 0.0
        if wait:
            raise Refused(TOO_MANY, headers={"Retry-After": str(math.ceil(wait))})

    def _check_time(self, timestamp: str) -> None:
        about = "Invalid timestamp. The value of the `timestamp` query parameter must"
        if not re.fullmatch(r"-?\d{1,18}", timestamp, re.ASCII):
            raise Refused(INVALID, f"{about} be given in Unix seconds.")
        seconds, now = int(timestamp), self._options.clock()
        if seconds < 0:
            raise Refused(INVALID, f"{about} not be lesser than 0.")
        if seconds < now - OLDEST:
            raise Refused(
                INVALID, f"{about} not be earlier than 5 minutes before the current time."
            )
        if seconds > now + EARLIEST:
            raise Refused(INVALID, f"{about} not exceed the current time by more than 30 seconds.")

    async def _check_signature(self, request: web.Request) -> None:
        if "sign" not in request.query:
            raise Refused(
                INVALID,
                "Missing credentials. The request does not include a required signature in the "
                "query.",
            )
        wanted = signature.expected(
            self._options.app_secret, request.path, request.query, await request.read()
        )
        if not same(request.query["sign"], wanted):
            raise Refused(BAD_SIGN)

    def _check_cipher(self, request: web.Request) -> None:
        cipher = request.query.get("shop_cipher")
        if cipher is None:
            raise Refused(NO_CIPHER)
        if not any(same(cipher, shop.cipher) for shop in self._options.shops):
            raise Refused(OTHER_SHOP)

    def _check_parameters(self, request: web.Request) -> None:
        for name, value in request.query.items():
            if value not in CLOSED_VALUES.get(name, (value,)):
                raise _invalid(f"Invalid request. Invalid `{name}`")
        if "keyword" in request.query:
            raise _invalid("Invalid request. The sandbox serves whole trees, without `keyword`,")
        if self._options.requires_v2 and request.query.get("category_version") != "v2":
            raise Refused(NEEDS_V2)


def _check_headers(request: web.Request) -> None:
    if request.content_type != "application/json":
        raise Refused(
            INVALID, "Invalid request. The `content-type` header must be `application/json`."
        )
    if "access_token" in request.query:
        raise Refused(
            INVALID,
            f"Invalid credentials. The access_token belongs into the `{TOKEN_HEADER}` header only.",
        )
    if not request.headers.get(TOKEN_HEADER):
        raise Refused(INVALID, f"Invalid credentials. The `{TOKEN_HEADER}` header is invalid.")


def _check_form(request: web.Request) -> None:
    for name, value in request.query.items():
        if not value or len(request.query.getall(name)) > 1:
            raise _invalid(f"Invalid request. Empty or repeated `{name}`")


def _invalid(what: str) -> Refused:
    return Refused(INVALID, f"{what} query parameter.")
