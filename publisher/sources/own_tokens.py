"""The pair of tokens that is ours to refresh: one refresher at a time, stored before used."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import structlog

from plumbing.config import ENV_PREFIX, TikTokShopSettings
from plumbing.errors import ConfigError, Error
from publisher.errors import TokenError
from publisher.sources.api import Api
from publisher.sources.patience import patiently
from publisher.sources.tokens import TokenFile, TokenPair

T = TypeVar("T")
log = structlog.get_logger(__name__)

ENV_TOKEN: Final = f"{ENV_PREFIX}TIKTOK_SHOP__ACCESS_TOKEN"
ENV_REFRESH: Final = f"{ENV_PREFIX}TIKTOK_SHOP__REFRESH_TOKEN"


class OwnTokens:
    """Access tokens from the token file, or to start with from the settings.

    The file is read at every call: whoever else refreshes or authorizes, this one goes along.
    """

    def __init__(self, settings: TikTokShopSettings, api: Api) -> None:
        self._file = TokenFile(settings.token_file)
        self._first = _first_pair(settings)
        self._api = api
        self._is_late = False

    async def current(self) -> str:
        """Return the access token, refreshed ahead of its end.

        A refresh that fails while the token is still good is tried again at the next poll.
        """
        pair = self._pair()
        now = self._api.clock()
        if pair.has_expired(now):
            return await self.renewed(pair.access_token)
        if not pair.is_due(now):
            return pair.access_token
        try:
            token = await self._refreshed(pair.access_token)
        except Error as error:
            self._tell_late(error)
            return pair.access_token
        self._tell_in_time()
        return token

    async def renewed(self, refused: str) -> str:
        """Return the access token of a new pair; retries what may pass."""
        token = await patiently(lambda: self._refreshed(refused))
        self._tell_in_time()
        return token

    async def _refreshed(self, old: str) -> str:
        """Refresh once, unless somebody else has done it while we waited for the lock."""
        async with self._file.locked():
            pair = self._pair()
            if pair.access_token == old:
                pair = await unbroken(self._refresh(pair))
        return pair.access_token

    async def _refresh(self, pair: TokenPair) -> TokenPair:
        if pair.refresh_token is None:
            raise TokenError(
                f"the access token is used up, and there is no refresh token: set {ENV_REFRESH}, "
                "or run `category-publisher authorize`"
            )
        await asyncio.to_thread(self._file.rehearse)
        data = await self._api.tokens_of_refresh(pair.refresh_token)
        new = TokenPair.of_answer(data, self._api.clock())
        await asyncio.to_thread(self._file.store, new)
        return new

    def _pair(self) -> TokenPair:
        pair = self._file.load() or self._first
        if pair is None:
            raise TokenError(
                "there is no access token: run `category-publisher authorize`, which writes "
                f"{self._file.path}, or set {ENV_TOKEN} and {ENV_REFRESH}"
            )
        return pair

    def _tell_late(self, error: Error) -> None:
        if not self._is_late:
            log.warning("tokens are due for a refresh, which fails", error=str(error))
        self._is_late = True

    def _tell_in_time(self) -> None:
        if self._is_late:
            log.info("tokens are refreshed again")
        self._is_late = False


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` to its end even if cancelled meanwhile: a stop must not lose new tokens."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


def _first_pair(settings: TikTokShopSettings) -> TokenPair | None:
    if settings.access_token is None:
        return None
    refresh = settings.refresh_token
    try:
        return TokenPair(
            access_token=settings.access_token.get_secret_value(),
            refresh_token=refresh.get_secret_value() if refresh is not None else None,
        )
    except ValueError:
        raise ConfigError(
            f"{ENV_TOKEN} or {ENV_REFRESH} holds no token: one word of printable ASCII is expected"
        ) from None
