"""Commands of many words reach the server as they are, though in pieces."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import redis.exceptions
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.connection import Connection

from plumbing.redis.chunked_command import WORDS, CommandChunks
from plumbing.redis.connections import cancellable_connection
from plumbing.redis.lazy_arguments import LazyArguments
from plumbing.redis.server import Server
from tests.support.valkey import Valkey


class Counted(LazyArguments):
    """So many words, of another length each."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[bytes]:
        return (b"%d" % number * (number % 7) for number in range(self._count))


@given(st.lists(st.binary() | st.text() | st.integers(-(2**63), 2**63)), st.integers(0, 3 * WORDS))
def test_pieces_are_the_command(first: list[bytes | str | int], count: int) -> None:
    """Byte for byte what redis-py makes of it, whatever the words are."""
    command = ["RPUSH", "key", *first]
    whole = b"".join(Connection().pack_command(*command, *Counted(count)))
    assert b"".join(CommandChunks(command, Counted(count))) == whole


@pytest.mark.parametrize("count", [1, WORDS - 2, WORDS - 1, WORDS, 3 * WORDS, 50 * WORDS + 1])
async def test_a_large_command(valkey: Valkey, count: int) -> None:
    """It has its effect, and the connection goes on."""
    async with Server(valkey.url).client() as client:
        await client.delete("large")
        words: Any = Counted(count)
        assert await client.rpush("large", words) == count
        assert await client.lrange("large", 0, -1) == list(Counted(count))
        await client.delete("large")


async def test_a_connection_that_is_lost_amid_it() -> None:
    """It is an error; the rest of the command is sent to nobody."""
    heard: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    kind = cancellable_connection(Connection)
    connection = kind(host=host, port=port, protocol=2, driver_info=None)  # type: ignore[call-arg]
    async with server:
        with pytest.raises(redis.exceptions.ConnectionError):
            await connection.send_command("RPUSH", "large", Counted(10_000 * WORDS))
        assert not connection.is_connected
        await connection.disconnect()
    assert len(heard) == 1
    assert heard[0].startswith(b"*%d\r\n$5\r\nRPUSH" % (10_000 * WORDS + 2))
