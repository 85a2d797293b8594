"""The checks of a request, as TikTok Shop makes them (TikTok Shop API, Errors).

Their order is the real one as far as it is known: path, app, time, signature, token, scope, and
the endpoint's own parameters last.
"""

import math
import re
from collections.abc import Callable
from typing import Final

from aiohttp import web

from publisher.sandbox import responses
from publisher.sandbox.options import CATEGORY_SCOPE, SHOP_SCOPE, SandboxOptions
from publisher.sandbox.responses import ErrorResponse
from publisher.sandbox.signature import expected_signature, is_same_secret
from publisher.sandbox.tokens import TokenIssuer

MAX_AGE: Final = 5 * 60
"""Seconds that a timestamp may be in the past (TikTok Shop API, Get Categories)."""
MAX_AHEAD: Final = 30
"""Seconds that a timestamp may be in the future (TikTok Shop API, Get Categories)."""
TOKEN_HEADER: Final = "x-tts-access-token"  # noqa: S105  a name, no secret
CLOSED_VALUES: Final = {
    "category_version": ("v1", "v2"),
    "listing_platform": ("TIKTOK_SHOP", "TOKOPEDIA"),
    "include_prohibited_categories": ("true", "false"),
}


class TokenBucket:
    """Allows `rate` requests a second.

    After a pause it allows a second's worth, at least one request, at once.
    """

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._capacity = max(1.0, rate)
        self._available = self._capacity
        self._updated_at = clock()

    def take(self) -> float:
        """Take one request's token; return 0, or the seconds to wait if there is none."""
        now = self._clock()
        gained = max(0.0, now - self._updated_at) * self._rate
        self._available = min(self._capacity, self._available + gained)
        self._updated_at = now
        if self._available < 1:
            return (1 - self._available) / self._rate
        self._available -= 1
        return 0.0


class RequestChecks:
    """Checks requests; each method raises ErrorResponse if the request is wrong."""

    def __init__(self, options: SandboxOptions, tokens: TokenIssuer) -> None:
        self._options = options
        self._tokens = tokens
        limit = options.rate_limit
        self._bucket = None if limit is None else TokenBucket(limit, options.clock)

    async def check_categories(self, request: web.Request) -> None:
        """Check a Get Categories request."""
        await self._check_caller(request, CATEGORY_SCOPE)
        query = request.query
        if "shop_cipher" not in query:
            raise ErrorResponse(responses.NO_CIPHER)
        ciphers = (shop.cipher for shop in self._options.shops)
        if not any(is_same_secret(query["shop_cipher"], cipher) for cipher in ciphers):
            raise ErrorResponse(responses.OTHER_SHOP)
        for name, values in CLOSED_VALUES.items():
            if query.get(name, values[0]) not in values:
                raise _invalid_parameter(f"Invalid request. Invalid `{name}`")
        if "keyword" in query:
            raise _invalid_parameter(
                "Invalid request. The sandbox serves whole trees, without `keyword`,"
            )
        if self._options.requires_v2 and query.get("category_version") != "v2":
            raise ErrorResponse(responses.NEEDS_V2)

    async def check_shops(self, request: web.Request) -> None:
        """Check a Get Authorized Shops request."""
        await self._check_caller(request, SHOP_SCOPE)
        if "shop_cipher" in request.query:
            raise _invalid(
                "Unexpected identifier. The `shop_cipher` query parameter is not required for "
                "this request."
            )

    def check_app(self, request: web.Request, grant_type: str) -> None:
        """Check a request for tokens, which needs this `grant_type`."""
        _check_query_form(request)
        query = request.query
        if not (
            is_same_secret(query.get("app_key", ""), self._options.app_key)
            and is_same_secret(query.get("app_secret", ""), self._options.app_secret)
        ):
            raise _invalid_parameter("Invalid credentials. Invalid `app_key` or `app_secret`")
        if query.get("grant_type") != grant_type:
            raise _invalid_parameter(f"Invalid request. `{grant_type}` has to be the `grant_type`")

    async def _check_caller(self, request: web.Request, scope: str) -> None:
        if self._bucket and (wait := self._bucket.take()):
            headers = {"Retry-After": str(math.ceil(wait))}
            raise ErrorResponse(responses.TOO_MANY_REQUESTS, headers=headers)
        _check_query_form(request)
        if not is_same_secret(request.query.get("app_key", ""), self._options.app_key):
            raise _invalid_parameter("Invalid credentials. Invalid `app_key`")
        self._check_time(request.query.get("timestamp", ""))
        await self._check_signature(request)
        if request.content_type != "application/json":
            raise _invalid("Invalid request. The `content-type` header must be `application/json`.")
        if "access_token" in request.query:
            raise _invalid(
                "Invalid credentials. The access_token belongs into the "
                f"`{TOKEN_HEADER}` header only."
            )
        if not request.headers.get(TOKEN_HEADER):
            raise _invalid(f"Invalid credentials. The `{TOKEN_HEADER}` header is invalid.")
        self._tokens.check_access(request.headers[TOKEN_HEADER])
        if scope not in self._options.scopes:
            raise ErrorResponse(responses.NO_SCOPE)

    def _check_time(self, timestamp: str) -> None:
        about = "Invalid timestamp. The value of the `timestamp` query parameter must"
        if not re.fullmatch(r"-?\d{1,18}", timestamp, re.ASCII):
            raise _invalid(f"{about} be given in Unix seconds.")
        seconds, now = int(timestamp), self._options.clock()
        if seconds < 0:
            raise _invalid(f"{about} not be lesser than 0.")
        if seconds < now - MAX_AGE:
            raise _invalid(f"{about} not be earlier than 5 minutes before the current time.")
        if seconds > now + MAX_AHEAD:
            raise _invalid(f"{about} not exceed the current time by more than 30 seconds.")

    async def _check_signature(self, request: web.Request) -> None:
        if "sign" not in request.query:
            raise _invalid(
                "Missing credentials. The request does not include a required signature in the "
                "query."
            )
        wanted = expected_signature(
            self._options.app_secret, request.path, request.query, await request.read()
        )
        if not is_same_secret(request.query["sign"], wanted):
            raise ErrorResponse(responses.BAD_SIGN)


def _check_query_form(request: web.Request) -> None:
    for name, value in request.query.items():
        if not value or len(request.query.getall(name)) > 1:
            raise _invalid_parameter(f"Invalid request. Empty or repeated `{name}`")


def _invalid_parameter(what: str) -> ErrorResponse:
    return _invalid(f"{what} query parameter.")


def _invalid(message: str) -> ErrorResponse:
    return ErrorResponse(responses.INVALID, message)
