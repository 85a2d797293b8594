"""The pair of tokens, and the file in which it survives (fact sheet, Tokens).

A refresh may invalidate the pair that it replaces. So the file always holds one whole pair: the
old one until the new one is on the disk, then the new one, whenever the process is killed.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Self

import filelock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from publisher.errors import SourceError, TokenError
from publisher.sources import files

MAX_FILE_BYTES: Final = 64 * 1024
DAY: Final = 24 * 3600.0
MARGIN_SHARE: Final = 0.2
LOCK_SECONDS: Final = 120.0
"""How long to wait for another process that refreshes; one request takes a minute at most."""

Token = Annotated[str, Field(pattern=r"^[\x21-\x7e]+$", max_length=8192)]
"""One word of printable ASCII, as an HTTP header can carry it."""


class TokenPair(BaseModel):
    """An access token, and the refresh token that gets the next pair. Its `repr` shows neither.

    Times are Unix seconds, None where unknown, as they are for tokens from the environment.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    access_token: Token = Field(repr=False)
    refresh_token: Token | None = Field(default=None, repr=False)
    stored_at: float | None = None
    access_token_expires_at: float | None = None
    refresh_token_expires_at: float | None = None

    @classmethod
    def of_answer(cls, data: Any, now: float) -> Self:
        """Take the pair out of a token answer's `data`; SourceError if it holds none."""
        if not isinstance(data, dict) or data.get("refresh_token") is None:
            raise SourceError("TikTok Shop's token answer holds no tokens")
        try:
            return cls(
                access_token=data.get("access_token"),
                refresh_token=data["refresh_token"],
                stored_at=now,
                access_token_expires_at=_moment(data.get("access_token_expire_in"), now),
                refresh_token_expires_at=_moment(data.get("refresh_token_expire_in"), now),
            )
        except ValidationError as error:
            raise SourceError(
                f"TikTok Shop's token answer is not as documented: {_fields(error)}"
            ) from None

    def is_due(self, now: float) -> bool:
        """Tell whether it is time to refresh: a day, or a fifth of its life, before the end."""
        if self.access_token_expires_at is None or self.stored_at is None:
            return False
        life = self.access_token_expires_at - self.stored_at
        return now >= self.access_token_expires_at - min(DAY, MARGIN_SHARE * life)

    def has_expired(self, now: float) -> bool:
        """Tell whether the access token is known to be of no use any more."""
        return self.access_token_expires_at is not None and now >= self.access_token_expires_at


class TokenFile:
    """The file of one pair: JSON, mode 0600, replaced atomically. Write it under its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next = path.with_name(f"{path.name}.next")

    def load(self) -> TokenPair | None:
        """Return the pair, None if there is no file.

        Raises TokenError for a file that is broken, or that others than its owner can use.
        """
        try:
            content = files.read(self.path, MAX_FILE_BYTES, private=True)
            return TokenPair.model_validate_json(content)
        except files.Missing:
            return None
        except files.Unreadable as error:
            raise TokenError(f"{self.path} {error}") from error
        except ValidationError as error:
            raise TokenError(
                f"{self.path} is no token file ({_fields(error)}): run `category-publisher "
                "authorize`, which replaces it"
            ) from None

    def store(self, pair: TokenPair) -> None:
        """Put `pair` in the old one's place, on the disk when this returns; TokenError if not."""
        try:
            self._write_next(pair.model_dump_json(indent=1).encode())
            self._next.replace(self.path)
            _sync(self.path.parent)
        except OSError as error:
            raise self._unusable(error) from error

    def rehearse(self) -> None:
        """Do what `store` does, short of replacing; TokenError if `store` would fail.

        Done before a refresh: new tokens that cannot be stored are lost, and the old ones may be.
        """
        try:
            self._write_next(bytes(4096))
            self._next.unlink()
        except OSError as error:
            raise self._unusable(error) from error

    @asynccontextmanager
    async def locked(self, seconds: float = LOCK_SECONDS) -> AsyncIterator[None]:
        """Be the only one, of all tasks and processes, that gets and stores tokens.

        Raises SourceError if somebody else is that for `seconds`.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = filelock.AsyncFileLock(
                self.path.with_name(f"{self.path.name}.lock"), mode=0o600, timeout=seconds
            )
            await lock.acquire()
        except filelock.Timeout:
            raise SourceError(
                f"{self.path}.lock: another process has been refreshing the tokens for "
                f"{seconds:g} s: does it hang?"
            ) from None
        except OSError as error:
            raise self._unusable(error) from error
        try:
            yield
        finally:
            await lock.release()

    def _write_next(self, content: bytes) -> None:
        self._next.unlink(missing_ok=True)  # what a killed process left
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(self._next, flags, 0o600), "wb") as file:  # noqa: PTH123  a descriptor
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def _unusable(self, error: OSError) -> TokenError:
        return TokenError(
            f"{self.path}: tokens cannot be stored: {error.strerror}: make its folder writable "
            "for this user, or choose another token_file"
        )


def _moment(value: Any, now: float) -> float | None:
    """Return absolute seconds, which may exceed 32 bits; None for what lies not ahead of `now`.

    A life that is over when it begins is a misunderstanding, which must not make every poll
    refresh: then 105002 tells when the time has come.
    """
    return float(value) if isinstance(value, int) and now < value < 2**53 else None


def _fields(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return ", ".join(
        f"{'.'.join(map(str, problem['loc']))}: {problem['type']}".removeprefix(": ")
        for problem in problems
    )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
