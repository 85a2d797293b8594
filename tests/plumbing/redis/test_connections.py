"""Connections whose tasks can be cancelled at any moment."""

import asyncio

import pytest
import redis.exceptions
from redis.asyncio.connection import Connection

from plumbing.redis.connections import cancellable_connection
from tests.support.messages import whole
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE


@pytest.mark.parametrize("ticks", range(20))
async def test_a_cancellation_is_not_lost(valkey: Valkey, ticks: int) -> None:
    """A cancellation is not lost while sending, reading or between.

    It arrives after so many ticks of the event loop.
    """
    kind = cancellable_connection(Connection)
    connection = kind(host="127.0.0.1", port=valkey.port, protocol=2, driver_info=None)  # type: ignore[call-arg]
    await connection.connect()  # type: ignore[no-untyped-call]

    async def ping() -> None:
        for _ in range(1000):
            await connection.send_command("PING")
            await asyncio.sleep(0)

    task = asyncio.create_task(ping())
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=PATIENCE)
    assert task.cancelled()
    await connection.disconnect(nowait=True)


async def test_a_send_that_takes_too_long_closes_the_connection() -> None:
    """The server reads nothing, so that the socket's buffer is full."""

    async def read_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await closing.wait()
        writer.close()

    closing = asyncio.Event()
    server = await asyncio.start_server(read_nothing, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    kind = cancellable_connection(Connection)
    connection = kind(
        host=host,
        port=port,
        protocol=2,
        driver_info=None,
        socket_timeout=0.1,  # type: ignore[call-arg]
    )
    async with server:
        with pytest.raises(redis.exceptions.TimeoutError, match=whole("Timeout writing to socket")):
            await connection.send_command("SET", "key", bytes(64 * 1024 * 1024))
        assert not connection.is_connected
        closing.set()
