"""A catalog that a test publishes to a server, and a consumer of it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import orjson
import pytest

from consumers.following.catalog_client import CatalogClient, Timing, connect
from plumbing.errors import RedisError
from plumbing.redis.server import Client, Server
from publisher.core.model import Category
from publisher.polling.poll import PollResult
from publisher.polling.recorded_poll import poll_and_record
from publisher.state.store import Store
from tests.support.catalogs import make_catalog
from tests.support.scripted_source import ScriptedSource


class PublishedCatalog:
    """A catalog on a server, whose source has as many categories as a poll asks for."""

    def __init__(self, server: Server, client: Client, name: str = "us") -> None:
        self.server = server
        self.client = client
        self._source = ScriptedSource()
        self._catalog = make_catalog(Store(client, name), self._source)

    async def poll(self, count: int) -> PollResult:
        """Poll a source that has `count` categories."""
        self._source.set_tree(Category(str(n), "0", f"Name {n}", True) for n in range(1, count + 1))
        return await poll_and_record(self._catalog, self.server)

    async def poll_error(self, count: int) -> RedisError:
        """Poll, and return the RedisError that it raises."""
        with pytest.raises(RedisError) as raised:
            await self.poll(count)
        assert self.server.address in str(raised.value)
        return raised.value

    async def sequences(self) -> list[Any]:
        """Return the sequences of all events, in the order of the stream."""
        entries: Any = await self.client.xrange(f"catalog:{{{self._catalog.name}}}:events")
        return [int(orjson.loads(fields[b"event"])["sequence"]) for _, fields in entries]


@asynccontextmanager
async def published_catalog(url: str, name: str = "us") -> AsyncIterator[PublishedCatalog]:
    """Open catalog `name` on the server at `url`."""
    server = Server(url)
    async with server.client() as client:
        yield PublishedCatalog(server, client, name)


def open_consumer(url: str) -> AbstractAsyncContextManager[CatalogClient]:
    """Open a consumer's client of `us` that waits during outages."""
    return connect(Server(url), "us", once=False, timing=Timing(block=0.1))
