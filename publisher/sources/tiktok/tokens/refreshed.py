"""The pair of tokens that is ours to refresh: one refresher at a time, stored before used."""

from typing import Final, NamedTuple

from plumbing import logs
from plumbing.config.settings import ENV_PREFIX, TikTokShopSettings
from plumbing.errors import ConfigError, Error
from publisher.errors import NotAuthorized, RefreshUnderWay
from publisher.sources.retry import retry_transient
from publisher.sources.single_flight import SingleFlight, run_to_completion
from publisher.sources.tiktok.client import TikTokClient
from publisher.sources.tiktok.tokens.pair import LOCK_SECONDS, TokenPair, TokenStore

log = logs.logger(__name__)

ENV_TOKEN: Final = f"{ENV_PREFIX}TIKTOK_SHOP__ACCESS_TOKEN"
ENV_REFRESH: Final = f"{ENV_PREFIX}TIKTOK_SHOP__REFRESH_TOKEN"
REST: Final = 60.0
"""Seconds after a refresh that failed in which no other begins, where that can wait or is useless:
ten thousand catalogs share one token."""


class Expiry(NamedTuple):
    """When tokens end, in Unix seconds; None where unknown. `place` is where they are kept."""

    location: str
    access_token: float | None
    refresh_token: float | None


class _Refreshed(NamedTuple):
    """A pair that we got, and what the store held when we asked for it."""

    old: TokenPair | None
    new: TokenPair


class _Refused(NamedTuple):
    """A refresh token that TikTok Shop does not take, how it said so, and until when we heed it."""

    refresh_token: str
    error: str
    until: float


class RefreshedTokens:
    """Access tokens from the store, or to start with from the settings.

    The store is read at every call: whoever else refreshes or authorizes, this one goes along.
    All catalogs of the same tokens share one RefreshedTokens; calls at the same time, one read.
    """

    def __init__(self, settings: TikTokShopSettings, api: TikTokClient, store: TokenStore) -> None:
        self._store = store
        self._first = _first_pair(settings)
        self._api = api
        self._flights = SingleFlight[str]()
        self._last: _Refreshed | None = None
        self._refused: _Refused | None = None
        self._rests_until = 0.0
        self._is_late = False
        self._seen: TokenPair | None = None
        self._not_refreshed = ""
        """The access token whose refresh failed."""

    @property
    def expiry(self) -> Expiry | None:
        """When the tokens end, as last seen; None if none were seen.

        Once a refresh is due, whoever polls next gets another pair. So from then on the access
        token's end is known only if a refresh was tried here, and failed.
        """
        pair = self._seen
        if pair is None:
            return None
        is_known = pair.access_token == self._not_refreshed or not pair.is_due(self._api.clock())
        return Expiry(
            self._store.location,
            pair.access_token_expires_at if is_known else None,
            pair.refresh_token_expires_at,
        )

    async def current(self) -> str:
        """Return the access token, refreshed ahead of its end.

        A refresh that fails while the token is still good is tried again at a later poll.
        """
        return await self._flights.share("current", self._current)

    async def renewed(self, refused: str) -> str:
        """Return the access token of another pair; retries what may pass."""
        return await self._flights.share(f"renewed {refused}", lambda: self._renewed(refused))

    async def _current(self) -> str:
        stored = await self._store.load()
        if stored is None and self._last is not None:
            async with self._store.locked():
                stored = await self._whole(await self._store.load())
        pair = self._usable(stored)
        now = self._api.clock()
        if pair.has_expired(now):
            return await self._renewed(pair.access_token)
        if not pair.is_due(now) or now < self._rests_until:
            return pair.access_token
        try:
            token = await self._refreshed(pair.access_token, wait=0.0)
        except RefreshUnderWay:
            return pair.access_token
        except Error as error:
            self._tell_late(error)
            return pair.access_token
        self._tell_in_time()
        return token

    async def _renewed(self, refused: str) -> str:
        token = await retry_transient(lambda: self._refreshed(refused, wait=LOCK_SECONDS))
        self._tell_in_time()
        return token

    async def _refreshed(self, old: str, *, wait: float) -> str:
        """Refresh once, unless somebody else has done it while we waited for the lock."""
        async with self._store.locked(wait):
            stored = await self._whole(await self._store.load())
            pair = self._usable(stored)
            if pair.access_token == old:
                self._not_refreshed = old
                pair = await run_to_completion(self._refresh(stored, pair))
        return pair.access_token

    async def _refresh(self, stored: TokenPair | None, pair: TokenPair) -> TokenPair:
        if pair.refresh_token is None:
            raise NotAuthorized(
                f"the access token is used up, and there is no refresh token: set {ENV_REFRESH}, "
                f"or run `{self._api.authorize}`"
            )
        self._refuse_again(pair.refresh_token)
        await self._store.check_writable()
        try:
            self._last = _Refreshed(stored, await self._asked(pair.refresh_token))
        except NotAuthorized as error:
            return await self._unless_replaced(pair.refresh_token, error)
        return self._usable(await self._whole(stored))

    async def _asked(self, refresh_token: str) -> TokenPair:
        """Ask for a new pair, once."""
        try:
            data = await self._api.tokens_of_refresh(refresh_token)
            return TokenPair.from_answer(data, self._api.clock())
        except Error:
            self._rests_until = self._api.clock() + REST
            raise

    async def _whole(self, stored: TokenPair | None) -> TokenPair | None:
        """Return the pair in the store, which is made to hold the one that we got last.

        It does not yet if storing failed, and not any more if Redis has lost its last second.
        """
        if self._last is None or stored not in {None, self._last.old}:
            return stored
        if await self._store.replace(stored, self._last.new):
            return self._last.new
        return await self._store.load()

    async def _unless_replaced(self, refused: str, error: NotAuthorized) -> TokenPair:
        """Return the pair that somebody else has stored meanwhile; else raise `error`."""
        stored = await self._store.load()
        if stored is not None and stored.refresh_token != refused:
            return self._usable(stored)
        self._refused = _Refused(refused, str(error), self._api.clock() + REST)
        raise error

    def _refuse_again(self, refresh_token: str) -> None:
        known = self._refused
        if known and known.refresh_token == refresh_token and self._api.clock() < known.until:
            raise NotAuthorized(known.error)

    def _usable(self, stored: TokenPair | None) -> TokenPair:
        pair = stored or self._first
        if pair is None:
            raise NotAuthorized(
                f"there is no access token: run `{self._api.authorize}`, which writes "
                f"{self._store.location}, or set {ENV_TOKEN} and {ENV_REFRESH}"
            )
        self._seen = pair
        return pair

    def _tell_late(self, error: Error) -> None:
        if not self._is_late:
            log.warning("tokens are due for a refresh, which fails", error=str(error))
        self._is_late = True

    def _tell_in_time(self) -> None:
        if self._is_late:
            log.info("tokens are refreshed again")
        self._is_late = False


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
