"""Sends one app's signed requests to TikTok Shop; raises our errors for refusals.

Redirects are not followed: the tokens would go along. Each request is sent once; `sources.retry`
repeats it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

import aiohttp
from yarl import URL

from plumbing.config.settings import ENV_PREFIX, TikTokShopSettings
from plumbing.errors import ConfigError
from publisher.errors import SourceError, Transient, Unreachable
from publisher.sources import transport
from publisher.sources.envelope import Envelope
from publisher.sources.request_limit import RequestLimiter
from publisher.sources.tiktok.error_codes import AUTHORIZE_COMMAND, RequestContext, error_from
from publisher.sources.tiktok.signature import sign
from publisher.sources.transport import Reply, RequestLimits

CODE_PATH: Final = "/api/v2/token/get"
REFRESH_PATH: Final = "/api/v2/token/refresh"
TOKEN_LIMITS: Final = RequestLimits(seconds=60.0, body_bytes=64 * 1024 * 1024)
"""For requests about tokens, which no catalog's settings limit."""


@dataclass(eq=False, repr=False)
class TikTokClient:
    """TikTok Shop's API for one app.

    `section` is the catalog's section of publisher.toml, for messages: `[catalogs.us]`;
    `authorize_command` gets new tokens for it. Raises ConfigError if the app's key or secret is
    missing.
    """

    settings: TikTokShopSettings
    session: aiohttp.ClientSession
    _: KW_ONLY
    section: str
    limiter: RequestLimiter
    authorize_command: str = AUTHORIZE_COMMAND
    limits: RequestLimits = TOKEN_LIMITS
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        settings, prefix = self.settings, f"{ENV_PREFIX}TIKTOK_SHOP__"
        if settings.app_key is None:
            raise ConfigError(f"{prefix}APP_KEY is not set: TikTok Shop asks for the app's key")
        if settings.app_secret is None or not settings.app_secret.get_secret_value():
            raise ConfigError(f"{prefix}APP_SECRET is not set: requests are signed with it")
        self._key, self._secret = settings.app_key, settings.app_secret.get_secret_value()

    async def get(self, path: str, query: Mapping[str, str], access_token: str) -> bytes:
        """Send a signed GET and return the body of a success; its content is not checked.

        Raises SourceError (Transient, TokenExpired), TokenError or BadSnapshot.
        """
        signed = {**query, "app_key": self._key, "timestamp": str(int(self.clock()))}
        signature = sign(self._secret, path, signed)
        url = URL(self.settings.api_url + path).with_query({**signed, "sign": signature})
        headers = {"x-tts-access-token": access_token, "Content-Type": "application/json"}
        reply = await self._get(url, headers)
        self._raise_for_error(reply, access_token, query.get("shop_cipher", access_token))
        return reply.body

    async def get_data(self, path: str, query: Mapping[str, str], access_token: str) -> Any:
        """Send a signed GET and return the envelope's `data`; raises as `get` does."""
        body = await self.get(path, query, access_token)
        return _data_of(body, self.settings.api_url + path)

    async def exchange_code(self, code: str) -> Any:
        """Exchange an authorization code for tokens; return the answer's `data`."""
        query = {"auth_code": code, "grant_type": "authorized_code"}
        return await self._request_tokens(CODE_PATH, query, code)

    async def refresh_tokens(self, refresh_token: str) -> Any:
        """Exchange a refresh token for a new pair; return the answer's `data`."""
        query = {"refresh_token": refresh_token, "grant_type": "refresh_token"}
        return await self._request_tokens(REFRESH_PATH, query, refresh_token)

    async def _request_tokens(self, path: str, query: Mapping[str, str], used_up: str) -> Any:
        """Request tokens for `used_up`, a code or a refresh token that works once.

        A retry after a lost answer does no harm: if the first request took effect, its tokens are
        lost anyway; if it did not, the second one gets them.
        """
        parameters = {"app_key": self._key, "app_secret": self._secret, **query}
        url = URL(self.settings.auth_url + path).with_query(parameters)
        try:
            reply = await self._get(url, {})
        except Unreachable:
            raise
        except Transient as error:
            raise Transient(
                f"{error}. The tokens may have been replaced anyway and the new ones lost: "
                f"if the old ones are refused from now on, run `{self.authorize_command}`"
            ) from error
        self._raise_for_error(reply, used_up)
        return _data_of(reply.body, transport.location_of(url))

    async def _get(self, url: URL, headers: Mapping[str, str]) -> Reply:
        async with self.limiter.slot(url, self._key):
            return await transport.get(
                self.session, url, self.limits, headers=headers, follow=False
            )

    def _raise_for_error(self, reply: Reply, *secrets: str) -> None:
        all_secrets = (self._secret, *secrets)
        context = RequestContext(self.section, all_secrets, self.clock(), self.authorize_command)
        if error := error_from(reply, context):
            raise error


def _data_of(body: bytes, location: str) -> Any:
    envelope = Envelope.parse(body)
    if envelope is None:
        raise SourceError(f"{location}: the answer is not TikTok Shop's: is the address right?")
    return envelope.data
