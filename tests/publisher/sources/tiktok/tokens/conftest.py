"""A real server for the tests of tokens."""

from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from plumbing.redis.server import Server
from tests.support.valkey import Valkey


@pytest.fixture
async def client(valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    """Give a client of an empty Valkey, made as publishers do."""
    async with Server(valkey.url).client() as client:
        assert isinstance(client, redis.asyncio.Redis)
        await client.flushall()
        yield client


@pytest.fixture
def server(valkey: Valkey) -> Server:
    return Server(valkey.url)
