"""A TCP proxy on loopback that simulates a bad network.

It drops, delays, cuts and repeats data. A fault affects all connections of one link while it is
set; afterwards the link works again, but a broken connection stays broken.

A fault most often hits the most frequent requests, such as the small commands of a poll. To hit a
particular one, a strike affects only the next request that contains a certain word.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

Fault: TypeAlias = Literal[
    "drop",
    "delay",
    "cut in the middle of a reply",
    "duplicate the last request",
    "duplicate the last request, late",
    "black hole that heals",
    "black hole for ever",
    "slow drip",
]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)

Strike: TypeAlias = Literal[
    "request dropped", "reply dropped", "reply cut in the middle", "reply late by a second"
]
STRIKES: Final[tuple[Strike, ...]] = get_args(Strike)

CHUNK: Final = 1 << 16
DELAY: Final = 0.15
"""Seconds by which each chunk is delayed."""
STRIKE_SECONDS: Final = 1.0
LATE: Final = 1.5
"""Seconds after which a request is repeated: others have committed since."""
REPLY_SECONDS: Final = 1.0
"""Seconds to wait for the reply to a repeated request: a blocking read may not return."""
DRIP_BYTES: Final = 100
DRIP_SECONDS: Final = 0.003

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Carry: TypeAlias = Callable[[bytes], Awaitable[bool]]
"""Forwards a chunk; returns False to end the connection."""


@dataclass
class Repeat:
    """A request that is sent again."""

    request: bytes
    reply: bytes | None = None
    """The reply to the repetition, empty if there was none; None before it was sent."""


@dataclass
class Connection:
    """One forwarded connection; `strike` affects its next reply."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    strike: Strike | None = None


class Proxy:
    """A link to the server on `server_port`; clients connect to `port`."""

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.fault: Fault | None = None
        self.hits = 0
        """Chunks affected by a fault."""
        self.struck = 0
        """Requests affected by a strike."""
        self.repeats: list[Repeat] = []
        """The repeated requests, in their order."""
        self._ambush: tuple[bytes, Strike] | None = None
        self._server_port = server_port
        self._healthy = asyncio.Event()
        self._healthy.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def suffer(self, fault: Fault) -> None:
        """Set `fault` until `recover`."""
        self.fault = fault
        self._healthy.clear()

    def strike(self, word: bytes, strike: Strike) -> None:
        """Let `strike` affect the next request that contains `word`, once."""
        self._ambush = (word, strike)

    def recover(self) -> None:
        """Clear the fault."""
        self.fault = None
        self._healthy.set()

    def end(self) -> None:
        """Stop forwarding."""
        for task in self._tasks:
            task.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until it ends."""
        replies, server = await asyncio.open_connection("127.0.0.1", self._server_port)
        way = Connection(writer, server)
        there = self._begin(self._carry(reader, lambda data: self._request(data, way)))
        back = self._begin(self._carry(replies, lambda data: self._reply(data, way)))
        try:
            await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (there, back):
                task.cancel()
            for end in (writer, server):
                end.transport.abort()

    def _begin(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _carry(self, reader: asyncio.StreamReader, carry: Carry) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                self.hits += self.fault is not None
                if not await carry(data):
                    return

    async def _request(self, data: bytes, way: Connection) -> bool:
        if self._ambush and self._ambush[0] in data:
            (_, way.strike), self._ambush = self._ambush, None
            self.struck += 1
            if way.strike == "request dropped":
                return False
        match self.fault:
            case "duplicate the last request":
                self._repeat(data, 0)
            case "duplicate the last request, late":
                self._repeat(data, LATE)
        return await self._pass_on(data, way.server)

    async def _reply(self, data: bytes, way: Connection) -> bool:
        strike, way.strike = way.strike, None
        if strike == "reply late by a second":
            await asyncio.sleep(STRIKE_SECONDS)
        if strike == "reply dropped":  # so the server has executed the request
            return False
        if self.fault == "cut in the middle of a reply" or strike == "reply cut in the middle":
            way.client.write(data[: len(data) // 2])
            await way.client.drain()
            return False
        return await self._pass_on(data, way.client)

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        match self.fault:
            case "drop":
                return False
            case "delay":
                await asyncio.sleep(DELAY)
            case "black hole that heals":
                await self._healthy.wait()
            case "black hole for ever":
                await asyncio.Event().wait()
            case "slow drip":
                await self._drip(data, writer)
                return True
        writer.write(data)
        await writer.drain()
        return True

    async def _drip(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        for at in range(0, len(data), DRIP_BYTES):
            writer.write(data[at : at + DRIP_BYTES])
            await asyncio.sleep(DRIP_SECONDS if self.fault else 0)

    def _repeat(self, data: bytes, after: float) -> None:
        self.repeats.append(Repeat(data))
        self._begin(self._once_more(self.repeats[-1], after))

    async def _once_more(self, repeat: Repeat, after: float) -> None:
        """Send a request again on a new connection; no client gets the reply."""
        await asyncio.sleep(after)
        reply = b""
        with contextlib.suppress(OSError):  # TimeoutError is one
            reader, writer = await asyncio.open_connection("127.0.0.1", self._server_port)
            try:
                writer.write(repeat.request)
                async with asyncio.timeout(REPLY_SECONDS):
                    reply = await reader.read(CHUNK)
            finally:
                writer.transport.abort()
        repeat.reply = reply


@asynccontextmanager
async def proxied(server_port: int) -> AsyncIterator[Proxy]:
    """Yield a link to the server on `server_port` of loopback."""
    proxy = Proxy(server_port)
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listening.close()
        proxy.end()
