"""The pair of tokens in Redis, sealed with `token_key`, for several publishers.

What keeps a pair safe is the swap, which replaces only what the refresher began with: the lock just
saves refreshes, since whoever holds it may be paused for longer than it lasts.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Final

import redis.exceptions
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr, ValidationError
from redis.asyncio.lock import Lock

from plumbing import logs
from plumbing.redis.replies import as_bytes
from plumbing.redis.server import Client, Server
from publisher.errors import RefreshUnderWay, TokenError
from publisher.sources.tiktok.error_codes import AUTHORIZE_COMMAND
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import LOCK_SECONDS, TokenPair, describe_errors

log = logs.logger(__name__)

SWAP: Final = files("publisher.sources.tiktok.tokens").joinpath("swap.lua").read_text("utf-8")
LOCK_LIFE: Final = 90.0
"""Seconds after which a killed refresher's lock ends: longer than its request takes at most."""
LOOK_AGAIN: Final = 0.1


class RedisTokenStore:
    """A TokenStore in the Redis key `key`; Redis's errors come as RedisError.

    `token_key`: Fernet keys with commas between; the first seals, each opens. `file` is where the
    pair may have been before there was a token_key.
    """

    def __init__(
        self,
        key: str,
        token_key: SecretStr,
        file: FileTokenStore,
        client: Client,
        server: Server,
        authorize: str = AUTHORIZE_COMMAND,
    ) -> None:
        self.key = key
        self._authorize = authorize
        keys = [Fernet(word.strip()) for word in token_key.get_secret_value().split(",")]
        self._newest, self._keys = keys[0], MultiFernet(keys)
        self._file = file
        self._client = client
        self._server = server
        self._script = client.register_script(SWAP)

    @property
    def location(self) -> str:
        """The key's name."""
        return f"Redis key {self.key}"

    async def load(self) -> TokenPair | None:
        """Return the pair; what an older key has sealed is sealed anew, with the first.

        Raises TokenError if none of the keys opens it. A pair in the file is taken over.
        """
        sealed = await self._get()
        pair = self._opened(sealed)
        if pair is None:
            return await self._taken_over()
        if not self._is_of_newest_key(sealed):
            await self._swap(sealed, self._sealed(pair))
        return pair

    async def store(self, pair: TokenPair) -> None:
        """Put `pair` there, whatever was there."""
        with self._server.errors_explained():
            await self._client.set(self.key, self._sealed(pair))

    async def replace(self, old: TokenPair | None, new: TokenPair) -> bool:
        """Put `new` in the place of `old`; return False, and leave it, if another pair is there."""
        sealed = self._sealed(new)
        while self._opened(found := await self._get()) == old:
            if await self._swap(found, sealed):
                return True
        return self._opened(found) == new

    async def check_writable(self) -> None:
        """Raise TokenError if what is there is not ours to replace, RedisError if Redis refuses."""
        sealed = await self._get()
        if self._opened(sealed) is not None:
            await self._swap(sealed, sealed)

    @asynccontextmanager
    async def locked(self, seconds: float = LOCK_SECONDS) -> AsyncIterator[None]:
        """Be the only refresher of all publishers, for as long as the lock lives.

        Raises RefreshUnderWay if somebody else is that for `seconds`.
        """
        lock = Lock(
            self._client, f"{self.key}:lock", LOCK_LIFE, sleep=LOOK_AGAIN, thread_local=False
        )
        with self._server.errors_explained():
            is_ours = await lock.acquire(blocking_timeout=seconds)
        if not is_ours:
            raise RefreshUnderWay(
                f"{self.location}:lock: another publisher has been refreshing the tokens for "
                f"{seconds:g} s: does it hang?"
            )
        try:
            yield
        finally:
            await _release(lock)

    async def _get(self) -> bytes:
        with self._server.errors_explained():
            return as_bytes(await self._client.get(self.key))

    async def _swap(self, expected: bytes, sealed: bytes) -> bool:
        with self._server.errors_explained():
            return bool(await self._script(keys=[self.key], args=[expected, sealed]))

    def _sealed(self, pair: TokenPair) -> bytes:
        return self._keys.encrypt(pair.model_dump_json().encode())

    def _opened(self, sealed: bytes) -> TokenPair | None:
        if not sealed:
            return None
        try:
            return TokenPair.model_validate_json(self._keys.decrypt(sealed))
        except InvalidToken:
            raise TokenError(
                f"{self.location}: token_key does not open the tokens: give the key that sealed "
                "them (several with commas between; the first seals), or, if it is lost, delete "
                f"this Redis key and run `{self._authorize}`"
            ) from None
        except ValidationError as error:
            raise TokenError(
                f"{self.location} holds no tokens ({describe_errors(error)}): delete it and run "
                f"`{self._authorize}`"
            ) from None

    def _is_of_newest_key(self, sealed: bytes) -> bool:
        try:
            self._newest.decrypt(sealed)
        except InvalidToken:
            return False
        return True

    async def _taken_over(self) -> TokenPair | None:
        """Move the pair from the file, once; return what is in Redis then."""
        pair = await self._file.load()
        if pair is None:
            return None
        if not await self.replace(None, pair):
            return await self.load()
        log.info("tokens have moved", out_of=self._file.location, into=self.location)
        await self._file.set_aside()
        return pair


async def _release(lock: Lock) -> None:
    try:
        await lock.release()
    except redis.exceptions.RedisError as error:  # a stored pair is no failure for that
        log.warning("lock of the tokens was not released", ends_within=LOCK_LIFE, error=str(error))
