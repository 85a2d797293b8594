"""Provides access tokens from a pair that the publisher refreshes itself.

One refresher at a time; a new pair is stored before it is used.
"""

from typing import Final, NamedTuple

from plumbing import logs
from plumbing.config.settings import ENV_PREFIX, TikTokShopSettings
from plumbing.edge_log import EdgeLog
from plumbing.errors import ConfigError, Error
from publisher.errors import NotAuthorized, RefreshUnderWay
from publisher.sources.retry import retry_transient
from publisher.sources.single_flight import SingleFlight, run_to_completion
from publisher.sources.tiktok.client import TikTokClient
from publisher.sources.tiktok.tokens.pair import LOCK_SECONDS, TokenPair, TokenStore

log = logs.logger(__name__)

ENV_TOKEN: Final = f"{ENV_PREFIX}TIKTOK_SHOP__ACCESS_TOKEN"
ENV_REFRESH: Final = f"{ENV_PREFIX}TIKTOK_SHOP__REFRESH_TOKEN"
PAUSE: Final = 60.0
"""Seconds without another refresh after one failed: ten thousand catalogs may share one token. The
pause applies while the access token is valid, and to a refresh token that was refused."""


class TokenExpiry(NamedTuple):
    """When the tokens in `location` expire, in Unix seconds; None if unknown."""

    location: str
    access_token: float | None
    refresh_token: float | None


class _Refresh(NamedTuple):
    """The pair of our last refresh, and the stored pair that it replaces."""

    old: TokenPair | None
    new: TokenPair


class _Refusal(NamedTuple):
    """A refused refresh token; until `until` its error is raised without a request."""

    refresh_token: str
    error: str
    until: float


class RefreshedTokens:
    """Provides access tokens from the store, or from the settings until it has some.

    The store is read at every call, to see what others have refreshed or authorized. All catalogs
    with the same tokens share one object, and concurrent calls share one read.
    """

    def __init__(
        self, settings: TikTokShopSettings, client: TikTokClient, store: TokenStore
    ) -> None:
        self._store = store
        self._configured = _configured_pair(settings)
        self._client = client
        self._calls = SingleFlight[str]()
        self._last_refresh: _Refresh | None = None
        self._refusal: _Refusal | None = None
        self._paused_until = 0.0
        self._edge_log = EdgeLog(log)
        self._seen: TokenPair | None = None
        self._last_tried = ""
        """The access token that we tried last to refresh."""

    @property
    def expiry(self) -> TokenExpiry | None:
        """When the tokens expire, as seen last; None if none were seen.

        Once a refresh is due, another publisher may have done it. So from then on the access
        token's expiry is known only if this publisher tried to refresh it and failed.
        """
        pair = self._seen
        if pair is None:
            return None
        is_known = pair.access_token == self._last_tried or not pair.is_due(self._client.clock())
        return TokenExpiry(
            self._store.location,
            pair.access_token_expires_at if is_known else None,
            pair.refresh_token_expires_at,
        )

    async def current(self) -> str:
        """Return the access token; refresh it before it expires.

        If the refresh fails while the token is still valid, a later poll tries again.
        """
        return await self._calls.share("current", self._current)

    async def renew(self, refused: str) -> str:
        """Return another access token than `refused`; retries transient errors."""
        return await self._calls.share(f"renew {refused}", lambda: self._renew(refused))

    async def _current(self) -> str:
        stored = await self._store.load()
        if stored is None and self._last_refresh is not None:
            async with self._store.locked():
                stored = await self._restore(await self._store.load())
        pair = self._choose(stored)
        now = self._client.clock()
        if pair.has_expired(now):
            return await self._renew(pair.access_token)
        if not pair.is_due(now) or now < self._paused_until:
            return pair.access_token
        try:
            return await self._refresh_once(pair.access_token, lock_seconds=0.0)
        except RefreshUnderWay:
            pass
        except Error as error:
            self._edge_log.down("token refresh failed, retrying", error=str(error))
        return pair.access_token

    async def _renew(self, refused: str) -> str:
        return await retry_transient(lambda: self._refresh_once(refused, lock_seconds=LOCK_SECONDS))

    async def _refresh_once(self, old: str, *, lock_seconds: float) -> str:
        """Refresh the token `old`, unless another has while we waited for the lock."""
        async with self._store.locked(lock_seconds):
            stored = await self._restore(await self._store.load())
            pair = self._choose(stored)
            if pair.access_token == old:
                self._last_tried = old
                pair = await run_to_completion(self._refresh(stored, pair))
        self._edge_log.up("token refresh recovered")
        return pair.access_token

    async def _refresh(self, stored: TokenPair | None, pair: TokenPair) -> TokenPair:
        """Request a new pair for `pair`, store it instead of `stored`, and return it."""
        if pair.refresh_token is None:
            raise NotAuthorized(
                f"the access token has expired, and there is no refresh token: set {ENV_REFRESH}, "
                f"or run `{self._client.authorize_command}`"
            )
        refusal, now = self._refusal, self._client.clock()
        if refusal and refusal.refresh_token == pair.refresh_token and now < refusal.until:
            raise NotAuthorized(refusal.error)
        await self._store.check_writable()
        try:
            data = await self._client.refresh_tokens(pair.refresh_token)
            new = TokenPair.from_answer(data, self._client.clock())
        except Error as error:
            self._paused_until = self._client.clock() + PAUSE
            if isinstance(error, NotAuthorized):
                stored = await self._store.load()
                if stored is not None and stored.refresh_token != pair.refresh_token:
                    return self._choose(stored)  # somebody has refreshed without our lock
                self._refusal = _Refusal(pair.refresh_token, str(error), self._paused_until)
            raise
        self._last_refresh = _Refresh(stored, new)
        return self._choose(await self._restore(stored))

    async def _restore(self, stored: TokenPair | None) -> TokenPair | None:
        """Store the pair of our last refresh if it is missing; return the stored pair.

        It is missing if storing it failed, or if Redis lost its last second of writes.
        """
        if self._last_refresh is None or stored not in {None, self._last_refresh.old}:
            return stored
        if await self._store.replace(stored, self._last_refresh.new):
            return self._last_refresh.new
        return await self._store.load()

    def _choose(self, stored: TokenPair | None) -> TokenPair:
        """Return `stored`, or the configured pair, and record it for `expiry`.

        Raises NotAuthorized if there is neither.
        """
        pair = stored or self._configured
        if pair is None:
            raise NotAuthorized(
                f"there is no access token: run `{self._client.authorize_command}`, which writes "
                f"{self._store.location}, or set {ENV_TOKEN} and {ENV_REFRESH}"
            )
        self._seen = pair
        return pair


def _configured_pair(settings: TikTokShopSettings) -> TokenPair | None:
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
            f"{ENV_TOKEN} or {ENV_REFRESH} is not a token: one word of printable ASCII is expected"
        ) from None
