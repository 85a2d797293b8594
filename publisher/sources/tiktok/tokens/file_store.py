"""Stores the token pair in a JSON file with a lock file beside it.

The file has mode 0600 and is replaced atomically.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import filelock
from pydantic import ValidationError

from publisher.errors import RefreshUnderWay, TokenError
from publisher.sources.read_file import FileMissing, Unreadable, read_file
from publisher.sources.tiktok.error_codes import AUTHORIZE_COMMAND
from publisher.sources.tiktok.tokens.pair import LOCK_SECONDS, TokenPair, describe_errors

MAX_FILE_BYTES: Final = 64 * 1024


class FileTokenStore:
    """A TokenStore for the processes of one machine.

    `store` and `replace` must be called under its lock. `authorize_command`, for messages,
    gets a new pair.
    """

    def __init__(self, path: Path, authorize_command: str = AUTHORIZE_COMMAND) -> None:
        self.path = path
        self._authorize_command = authorize_command
        self._next = path.with_name(f"{path.name}.next")

    @property
    def location(self) -> str:
        """The file's path."""
        return str(self.path)

    async def load(self) -> TokenPair | None:
        """Return the pair, or None if there is no file.

        Raises TokenError if the file is damaged, or if others than its owner can use it.
        """
        return await asyncio.to_thread(self._load)

    async def store(self, pair: TokenPair) -> None:
        """Store `pair` instead of any other; it is on the disk when this returns.

        Raises TokenError.
        """
        await asyncio.to_thread(self._store, pair)

    async def replace(self, old: TokenPair | None, new: TokenPair) -> bool:
        """Store `new` if the file contains `old`; return whether it did."""
        if await self.load() != old:
            return False
        await self.store(new)
        return True

    async def check_writable(self) -> None:
        """Do all of `store` except the replacement. Raises TokenError if that fails."""
        await asyncio.to_thread(self._check_writable)

    @asynccontextmanager
    async def locked(self, seconds: float = LOCK_SECONDS) -> AsyncIterator[None]:
        """Lock the pair among all tasks and processes of this machine.

        Raises RefreshUnderWay if somebody else holds the lock for `seconds`.
        """
        with self._errors_explained():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = filelock.AsyncFileLock(f"{self.path}.lock", mode=0o600, timeout=seconds)
            try:
                await lock.acquire()
            except filelock.Timeout:  # an OSError, but not one of storing
                raise RefreshUnderWay(
                    f"{self.path}.lock: another process has been refreshing the tokens for "
                    f"{seconds:g} s: does it hang?"
                ) from None
        try:
            yield
        finally:
            await lock.release()

    async def set_aside(self) -> None:
        """Rename the file, because its pair was moved to another store. Raises TokenError."""
        try:
            with suppress(FileNotFoundError):
                await asyncio.to_thread(self.path.rename, f"{self.path}.moved")
        except OSError as error:
            raise TokenError(
                f"{self.path}: the tokens were moved to another store, but the file cannot be "
                f"renamed: {error.strerror}: remove it"
            ) from error

    def _load(self) -> TokenPair | None:
        try:
            content = read_file(self.path, MAX_FILE_BYTES, private=True)
            return TokenPair.model_validate_json(content)
        except FileMissing:
            return None
        except Unreadable as error:
            raise TokenError(f"{self.path} {error}") from error
        except ValidationError as error:
            raise TokenError(
                f"{self.path} is not a token file ({describe_errors(error)}): run "
                f"`{self._authorize_command}`, which replaces it"
            ) from None

    def _store(self, pair: TokenPair) -> None:
        with self._errors_explained():
            self._write_next(pair.model_dump_json(indent=1).encode())
            self._next.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)  # without it, a power failure may undo the rename
            finally:
                os.close(folder)

    def _check_writable(self) -> None:
        with self._errors_explained():
            self._write_next(bytes(4096))
            self._next.unlink()

    def _write_next(self, content: bytes) -> None:
        self._next.unlink(missing_ok=True)  # a killed process may have left it
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(self._next, flags, 0o600), "wb") as file:  # noqa: PTH123  a descriptor
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _errors_explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TokenError(
                f"{self.path}: tokens cannot be stored: {error.strerror}: make its folder writable "
                "for this user, or choose another token_file"
            ) from error
