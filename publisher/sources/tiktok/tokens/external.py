"""Access tokens that another system owns and renews (contract, 7).

Read before every fetch, and again when one is refused; never refreshed here, which would take the
tokens away from their owner.
"""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

from publisher.errors import NotAuthorized, TokenError
from publisher.sources import read_file as files
from publisher.sources.single_flight import SingleFlight
from publisher.sources.tiktok.tokens.file_store import MAX_FILE_BYTES

COMMAND_SECONDS: Final = 30.0
DRAIN_SECONDS: Final = 1.0
"""Longer only if a process that left the command's session holds its output open."""


class ExternalTokens:
    """What `read` gives is the access token; `place` names it in messages."""

    def __init__(self, place: str, read: Callable[[], Awaitable[bytes]]) -> None:
        self._place = place
        self._read = read
        self._flights = SingleFlight[str]()

    async def current(self) -> str:
        """Read the token; TokenError if there is none."""
        return await self._flights.share("current", self._token)

    async def renewed(self, refused: str) -> str:
        """Read again; NotAuthorized if it is still the refused one."""
        token = await self._flights.share("renewed", self._token)
        if token == refused:
            raise NotAuthorized(
                f"{self._place} still gives the access token that TikTok Shop refuses: the system "
                "that owns it has to renew it"
            )
        return token

    async def _token(self) -> str:
        try:
            token = (await self._read()).strip()
        except files.Unreadable as error:
            raise TokenError(f"{self._place} {error}") from error
        if not re.fullmatch(rb"[\x21-\x7e]+", token):
            raise TokenError(
                f"{self._place} gives no token: one word of printable ASCII is expected"
            )
        return token.decode("ascii")


async def from_file(path: Path) -> bytes:
    """Read the token file, which must be its owner's alone; Unreadable if it is not."""
    return await asyncio.to_thread(files.read, path, MAX_FILE_BYTES, private=True)


async def from_command(words: list[str], seconds: float = COMMAND_SECONDS) -> bytes:
    """Run a command, without a shell and for `seconds` at most, and return what it prints.

    Raises Unreadable; what the command printed is never part of the message.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # its children end with it
        )
    except (OSError, ValueError) as error:
        raise files.Unreadable(f"cannot be run: {getattr(error, 'strerror', error)}") from error
    try:
        async with asyncio.timeout(seconds):
            output = await _output(process)
            code = await process.wait()
    except TimeoutError:
        raise files.Unreadable(f"did not end within {seconds:g} s") from None
    finally:
        await _end(process)
    if code != 0:
        raise files.Unreadable(f"failed with exit code {code}: run it yourself to see why")
    return output


async def _output(process: asyncio.subprocess.Process) -> bytes:
    output = b""
    async for chunk in _chunks(process):
        output += chunk
        if len(output) > MAX_FILE_BYTES:
            raise files.Unreadable(f"prints more than {MAX_FILE_BYTES} bytes")
    return output


async def _chunks(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    assert process.stdout is not None  # noqa: S101  it was asked for
    while chunk := await process.stdout.read(MAX_FILE_BYTES):
        yield chunk


async def _end(process: asyncio.subprocess.Process) -> None:
    """End what is left of the command and of its children, and read its pipe empty."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in _chunks(process):
                pass
