"""Stores the token pair in Redis, encrypted with `token_key`, for all publishers.

The swap keeps the pair safe: it replaces only the pair that the refresh started from. The lock only
saves refreshes, because its holder may be paused for longer than the lock lasts.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
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
LOCK_EXPIRY: Final = 90.0
"""Seconds after which a killed refresher's lock expires: longer than its request can take."""
LOCK_CHECK_INTERVAL: Final = 0.1
"""Seconds."""


@dataclass(eq=False, repr=False)
class RedisTokenStore:
    """A TokenStore in the Redis key `key`; raises RedisError if Redis fails.

    `token_key`: Fernet keys, separated by commas; the first encrypts, each decrypts. `file` is
    where the pair may have been stored before there was a token_key.
    """

    key: str
    token_key: SecretStr
    file: FileTokenStore
    client: Client
    server: Server
    authorize_command: str = AUTHORIZE_COMMAND

    def __post_init__(self) -> None:
        keys = [Fernet(word.strip()) for word in self.token_key.get_secret_value().split(",")]
        self._newest_key, self._keys = keys[0], MultiFernet(keys)
        self._swap_script = self.client.register_script(SWAP)

    @property
    def location(self) -> str:
        """The key's name."""
        return f"Redis key {self.key}"

    async def load(self) -> TokenPair | None:
        """Return the pair, or None if there is none; a pair in the file is moved to Redis.

        A pair that was encrypted with an older key is encrypted again with the first one. Raises
        TokenError if none of the keys decrypts it.
        """
        encrypted = await self._get()
        pair = self._decrypt(encrypted)
        if pair is None:
            pair = await self.file.load()
            if pair is None:
                return self._decrypt(await self._get())  # another may just have moved it
            if not await self.replace(None, pair):
                return await self.load()
            log.info("tokens moved to Redis", out_of=self.file.location, into=self.location)
            await self.file.set_aside()
            return pair
        try:
            self._newest_key.decrypt(encrypted)
        except InvalidToken:
            await self._swap(encrypted, self._encrypt(pair))
        return pair

    async def store(self, pair: TokenPair) -> None:
        """Store `pair` instead of any other."""
        with self.server.explain_errors():
            await self.client.set(self.key, self._encrypt(pair))

    async def replace(self, old: TokenPair | None, new: TokenPair) -> bool:
        """Replace `old` with `new`; return False, without effect, if another is stored."""
        encrypted_new = self._encrypt(new)
        while self._decrypt(found := await self._get()) == old:
            if await self._swap(found, encrypted_new):
                return True
        return self._decrypt(found) == new

    async def check_writable(self) -> None:
        """Write the stored value again; raises TokenError if our keys do not decrypt it."""
        encrypted = await self._get()
        if self._decrypt(encrypted) is not None:
            await self._swap(encrypted, encrypted)

    @asynccontextmanager
    async def locked(self, seconds: float = LOCK_SECONDS) -> AsyncIterator[None]:
        """Lock the pair among all publishers, until the lock expires.

        Raises RefreshUnderWay if somebody else holds the lock for `seconds`.
        """
        name = f"{self.key}:lock"
        lock = Lock(self.client, name, LOCK_EXPIRY, sleep=LOCK_CHECK_INTERVAL, thread_local=False)
        with self.server.explain_errors():
            is_ours = await lock.acquire(blocking_timeout=seconds)
        if not is_ours:
            raise RefreshUnderWay(
                f"{self.location}:lock: another publisher has been refreshing the tokens for "
                f"{seconds:g} s: does it hang?"
            )
        try:
            yield
        finally:
            try:
                await lock.release()
            except redis.exceptions.RedisError as error:  # the pair is stored: no failure
                log.warning(
                    "lock of the tokens not released, it expires",
                    ends_within=LOCK_EXPIRY,
                    error=str(error),
                )

    async def _get(self) -> bytes:
        with self.server.explain_errors():
            return as_bytes(await self.client.get(self.key))

    async def _swap(self, expected: bytes, encrypted: bytes) -> bool:
        with self.server.explain_errors():
            return bool(await self._swap_script(keys=[self.key], args=[expected, encrypted]))

    def _encrypt(self, pair: TokenPair) -> bytes:
        return self._keys.encrypt(pair.model_dump_json().encode())

    def _decrypt(self, encrypted: bytes) -> TokenPair | None:
        if not encrypted:
            return None
        try:
            return TokenPair.model_validate_json(self._keys.decrypt(encrypted))
        except InvalidToken:
            raise TokenError(
                f"{self.location}: token_key does not decrypt the tokens: set the key that "
                "encrypted them (several keys with commas between; the first encrypts), or, if "
                f"it is lost, delete this Redis key and run `{self.authorize_command}`"
            ) from None
        except ValidationError as error:
            raise TokenError(
                f"{self.location} contains no tokens ({describe_errors(error)}): delete it and "
                f"run `{self.authorize_command}`"
            ) from None
