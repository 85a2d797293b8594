"""A way to a server on which a connection can be cut at a chosen moment."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

CHUNK: Final = 1 << 16

Moment = Literal["before", "after"]
"""The server executes the command: the cut comes before that, or after it and before the reply."""


class Proxy:
    """Passes on what comes; `cut` arms it once for the next request that has `word` in it."""

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.cuts = 0
        self._server_port = server_port
        self._armed: tuple[bytes, Moment] | None = None

    def cut(self, word: bytes, moment: Moment) -> None:
        """Cut the connection on which the next command with `word` comes."""
        self._armed = (word, moment)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        upstream = await asyncio.open_connection("127.0.0.1", self._server_port)
        back = asyncio.create_task(_carry(upstream[0], writer))
        try:
            while data := await reader.read(CHUNK):
                if self._armed and self._armed[0] in data:
                    await self._cut(data, back, upstream)
                    return
                upstream[1].write(data)
        finally:
            back.cancel()
            upstream[1].close()
            writer.close()

    async def _cut(
        self,
        data: bytes,
        back: asyncio.Task[None],
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        if self._armed and self._armed[1] == "after":
            back.cancel()
            await asyncio.wait([back])
            upstream[1].write(data)
            await upstream[0].read(1)  # so it was executed
        self._armed = None
        self.cuts += 1


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(CHUNK):
            writer.write(data)


@asynccontextmanager
async def proxied(server_port: int) -> AsyncIterator[Proxy]:
    """Give a proxy of the server on `server_port` of loopback."""
    proxy = Proxy(server_port)
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listening.close()
