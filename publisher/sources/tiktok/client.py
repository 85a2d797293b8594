"""One app's way to TikTok Shop: signs what it asks, and turns refusals into our errors.

Never follows a redirect, which would take the tokens along. Asks each question once: trying again
is `patience`'s business.
"""

import time
from collections.abc import Callable, Mapping
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

TOKEN_OF_CODE: Final = "/api/v2/token/get"  # noqa: S105  paths
TOKEN_OF_REFRESH: Final = "/api/v2/token/refresh"  # noqa: S105


class TikTokClient:
    """TikTok Shop as one app sees it. Raises ConfigError if the app's key or secret is missing.

    `section` is where a catalog that asks is configured, for messages: `[catalogs.us]`; `authorize`
    is the command that gets it new tokens.
    """

    def __init__(
        self,
        settings: TikTokShopSettings,
        session: aiohttp.ClientSession,
        *,
        section: str,
        authorize: str = AUTHORIZE_COMMAND,
        limits: RequestLimits | None = None,
        limiter: RequestLimiter | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key, self._secret = _app(settings)
        self._api_url = settings.api_url
        self._auth_url = settings.auth_url
        self._session = session
        self._section = section
        self.authorize = authorize
        self._limits = limits or RequestLimits()
        self._limiter = limiter or RequestLimiter()
        self.clock = clock

    async def get(self, path: str, query: Mapping[str, str], access_token: str) -> bytes:
        """Ask the API and return the body of a success, its content not looked at.

        Raises SourceError (Transient, TokenExpired), TokenError or BadSnapshot.
        """
        signed = {**query, "app_key": self._key, "timestamp": str(int(self.clock()))}
        reply = await self._get(
            URL(self._api_url + path).with_query(
                {**signed, "sign": sign(self._secret, path, signed)}
            ),
            {"x-tts-access-token": access_token, "Content-Type": "application/json"},
        )
        self._check(reply, access_token, query.get("shop_cipher", access_token))
        return reply.body

    async def get_data(self, path: str, query: Mapping[str, str], access_token: str) -> Any:
        """Ask the API and return the envelope's `data`; errors as `get`."""
        body = await self.get(path, query, access_token)
        return _data(body, self._api_url + path)

    async def tokens_of_code(self, code: str) -> Any:
        """Exchange an authorization code; return the answer's `data`."""
        return await self._tokens(
            TOKEN_OF_CODE, {"auth_code": code, "grant_type": "authorized_code"}, code
        )

    async def tokens_of_refresh(self, refresh_token: str) -> Any:
        """Refresh a pair; return the answer's `data`."""
        return await self._tokens(
            TOKEN_OF_REFRESH,
            {"refresh_token": refresh_token, "grant_type": "refresh_token"},
            refresh_token,
        )

    async def _tokens(self, path: str, query: Mapping[str, str], spent: str) -> Any:
        """Ask for tokens with `spent`, which is good for one use.

        Asking again after a lost answer does no harm: if the first request was carried out, its
        tokens are lost either way; if it was not, the second one saves the day.
        """
        url = URL(self._auth_url + path).with_query(
            {"app_key": self._key, "app_secret": self._secret, **query}
        )
        try:
            reply = await self._get(url, {})
        except Unreachable:
            raise
        except Transient as error:
            raise Transient(
                f"{error}. The tokens may have been replaced all the same and the new ones lost: "
                f"should the old ones be refused from now on, run `{self.authorize}`"
            ) from error
        self._check(reply, spent)
        return _data(reply.body, transport.location_of(url))

    async def _get(self, url: URL, headers: Mapping[str, str]) -> Reply:
        async with self._limiter.slot(url, self._key):
            return await transport.get(
                self._session, url, self._limits, headers=headers, follow=False
            )

    def _check(self, reply: Reply, *secrets: str) -> None:
        hidden = (self._secret, *secrets)
        if error := error_from(
            reply, RequestContext(self._section, hidden, self.clock, self.authorize)
        ):
            raise error


def _app(settings: TikTokShopSettings) -> tuple[str, str]:
    prefix = f"{ENV_PREFIX}TIKTOK_SHOP__"
    if settings.app_key is None:
        raise ConfigError(f"{prefix}APP_KEY is not set: TikTok Shop asks for the app's key")
    if settings.app_secret is None or not settings.app_secret.get_secret_value():
        raise ConfigError(f"{prefix}APP_SECRET is not set: requests are signed with it")
    return settings.app_key, settings.app_secret.get_secret_value()


def _data(body: bytes, place: str) -> Any:
    envelope = Envelope.parse(body)
    if envelope is None:
        raise SourceError(f"{place}: the answer is not TikTok Shop's: is the address right?")
    return envelope.data
