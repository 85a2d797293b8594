"""Commands of many words reach the server as they are, though in pieces."""

import asyncio

import pytest
import redis.exceptions
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.connection import Connection

from plumbing.cancellable import cancellable
from plumbing.pieces import MANY, Pieces
from plumbing.server import Server
from tests.valkey import Valkey


@given(
    st.lists(st.binary() | st.text() | st.integers(-(2**63), 2**63), max_size=50), st.integers(1, 9)
)
def test_pieces_are_the_command(words: list[bytes | str | int], times: int) -> None:
    """Byte for byte what redis-py makes of it, whatever the words are."""
    command = ["RPUSH", *words * times]
    whole = b"".join(Connection().pack_command(*command))
    assert b"".join(Pieces(command)) == whole


@pytest.mark.parametrize("count", [1, MANY - 2, MANY - 1, MANY, 3 * MANY, 50 * MANY + 1])
async def test_a_large_command(valkey: Valkey, count: int) -> None:
    """It has its effect, and the connection goes on."""
    words = [f"{number}".encode() * 20 for number in range(count)]
    async with Server(valkey.url).client() as client:
        await client.delete("large")
        assert await client.rpush("large", *words) == count
        assert await client.lrange("large", 0, -1) == words
        await client.delete("large")


async def test_a_connection_that_is_lost_amid_it() -> None:
    """It is an error; the rest of the command is sent to nobody."""
    heard: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    kind = cancellable(Connection)
    connection = kind(host=host, port=port, protocol=2, driver_info=None)  # type: ignore[call-arg]
    async with server:
        with pytest.raises(redis.exceptions.ConnectionError):
            await connection.send_command("RPUSH", "large", *[b"x" * 1000] * 100 * MANY)
        assert not connection.is_connected
        await connection.disconnect()
    assert len(heard) == 1
    assert heard[0].startswith(b"*%d\r\n$5\r\nRPUSH" % (100 * MANY + 2))
