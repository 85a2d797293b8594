"""Access tokens that another system owns and renews (contract, 7).

They are read before every fetch, and again after a refusal. The publisher never refreshes them:
that would take the tokens away from their owner.
"""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from publisher.errors import NotAuthorized, TokenError
from publisher.sources.read_file import Unreadable
from publisher.sources.single_flight import SingleFlight
from publisher.sources.tiktok.tokens.file_store import MAX_FILE_BYTES

COMMAND_SECONDS: Final = 30.0
DRAIN_SECONDS: Final = 1.0
"""How long to read what is left in the pipe: a process that left the command's session, and so
was not killed, may hold it open."""


class ExternalTokens:
    """Provides the access token that `read` returns, from `location` (for messages)."""

    def __init__(self, location: str, read: Callable[[], Awaitable[bytes]]) -> None:
        self._location = location
        self._read = read
        self._reads = SingleFlight[str]()

    async def current(self) -> str:
        """Read the token; raises TokenError if there is none."""
        return await self._reads.share("current", self._read_token)

    async def renew(self, refused: str) -> str:
        """Read the token again; raises NotAuthorized if it is still the refused one."""
        token = await self._reads.share("renew", self._read_token)
        if token == refused:
            raise NotAuthorized(
                f"{self._location} still returns the access token that TikTok Shop refuses: the "
                "system that owns it has to renew it"
            )
        return token

    async def _read_token(self) -> str:
        try:
            token = (await self._read()).strip()
        except Unreadable as error:
            raise TokenError(f"{self._location} {error}") from error
        if not re.fullmatch(rb"[\x21-\x7e]+", token):
            raise TokenError(
                f"{self._location} returned no token: one word of printable ASCII is expected"
            )
        return token.decode("ascii")


async def run_command(command: Sequence[str], seconds: float = COMMAND_SECONDS) -> bytes:
    """Run a command without a shell, for `seconds` at most, and return what it prints.

    Raises Unreadable, whose message never contains what the command printed.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # so that its children can be killed with it
        )
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot be run: {getattr(error, 'strerror', error)}") from error
    pipe = process.stdout
    assert pipe is not None  # noqa: S101  it was requested
    try:
        async with asyncio.timeout(seconds):
            output = await _read_output(pipe)
            code = await process.wait()
    except TimeoutError:
        raise Unreadable(f"did not end within {seconds:g} s") from None
    finally:
        await _kill(process, pipe)
    if code != 0:
        raise Unreadable(f"failed with exit code {code}: run it yourself to see why")
    return output


async def _read_output(pipe: asyncio.StreamReader) -> bytes:
    try:
        await pipe.readexactly(MAX_FILE_BYTES + 1)
    except asyncio.IncompleteReadError as end:
        return end.partial
    raise Unreadable(f"prints more than {MAX_FILE_BYTES} bytes")


async def _kill(process: asyncio.subprocess.Process, pipe: asyncio.StreamReader) -> None:
    """Kill the command, if it still runs, and its children; read its pipe empty."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while await pipe.read(MAX_FILE_BYTES):
                pass
    await process.wait()  # last: while the pipe is full, asyncio does not end the wait
