"""A command of many arguments reaches the server unchanged, though in chunks."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import redis.exceptions
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.connection import Connection

from plumbing.redis.chunked_command import CHUNK_SIZE, CommandChunks
from plumbing.redis.connections import cancellable_connection
from plumbing.redis.lazy_arguments import LazyArguments
from plumbing.redis.server import Server
from tests.support.valkey import Valkey


class NumberedArguments(LazyArguments):
    """`count` arguments of different lengths."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[bytes]:
        return (b"%d" % number * (number % 7) for number in range(self._count))


@given(
    st.lists(st.binary() | st.text() | st.integers(-(2**63), 2**63)), st.integers(0, 3 * CHUNK_SIZE)
)
def test_chunks_are_the_encoded_command(first: list[bytes | str | int], count: int) -> None:
    """Together they are byte for byte what redis-py encodes."""
    command = ["RPUSH", "key", *first]
    whole = b"".join(Connection().pack_command(*command, *NumberedArguments(count)))
    assert b"".join(CommandChunks(command, NumberedArguments(count))) == whole


@pytest.mark.parametrize(
    "count", [1, CHUNK_SIZE - 2, CHUNK_SIZE - 1, CHUNK_SIZE, 3 * CHUNK_SIZE, 50 * CHUNK_SIZE + 1]
)
async def test_executes_a_large_command(valkey: Valkey, count: int) -> None:
    """The connection can be used again after it."""
    async with Server(valkey.url).client() as client:
        await client.delete("large")
        arguments: Any = NumberedArguments(count)
        assert await client.rpush("large", arguments) == count
        assert await client.lrange("large", 0, -1) == list(NumberedArguments(count))
        await client.delete("large")


async def test_a_connection_lost_while_sending_is_an_error() -> None:
    """The rest of the command is not sent on a new connection."""
    received: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    kind = cancellable_connection(Connection)
    connection = kind(host=host, port=port, protocol=2, driver_info=None)  # type: ignore[call-arg]
    async with server:
        with pytest.raises(redis.exceptions.ConnectionError):
            await connection.send_command("RPUSH", "large", NumberedArguments(10_000 * CHUNK_SIZE))
        assert not connection.is_connected
        await connection.disconnect()
    assert len(received) == 1
    assert received[0].startswith(b"*%d\r\n$5\r\nRPUSH" % (10_000 * CHUNK_SIZE + 2))
