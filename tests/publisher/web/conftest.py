"""A publisher that serves HTTP: a daemon on a real Valkey, with scripted sources."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from plumbing.redis.server import Client, Server
from publisher.polling.daemon import Daemon
from publisher.polling.leases import Leases
from publisher.polling.poll import Catalog
from publisher.sources.tiktok.tokens.refreshed import TokenExpiry
from publisher.state.store import Store
from publisher.web import Metrics, http_server
from tests.support.catalogs import make_catalog, make_limits
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import wide
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

LEASE = timedelta(seconds=3)
COUNT = "category_publisher_poll_duration_seconds_count"
EXPIRIES = [
    TokenExpiry("tokens.json", 2_000_000_000.0, 2_100_000_000.0),
    TokenExpiry("others.json", None, None),
]


@dataclass
class Site:
    """A publisher that runs and serves HTTP."""

    url: str
    daemon: Daemon
    session: aiohttp.ClientSession = field(repr=False)

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Return the status and the text of a response."""
        async with self.session.get(self.url + path, headers=headers) as answer:
            return answer.status, await answer.text()

    async def text(self, path: str) -> str:
        """Return the text of a response."""
        return (await self.get(path))[1]

    async def wait_for(self, path: str, *lines: str) -> str:
        """Wait until all of `lines` are among those of `path`, and return the text."""

        async def read() -> str:
            text = await self.text(path)
            return text if set(lines) <= set(text.splitlines()) else ""

        return await eventually(read)


Serve = Callable[..., Coroutine[Any, Any, Site]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Give a function that starts a publisher with a catalog for each source."""
    async with AsyncExitStack() as stack:

        async def start(
            valkey: Valkey, listen: str = "127.0.0.1:0", **sources: ScriptedSource
        ) -> Site:
            return await stack.enter_async_context(_running(valkey, listen, sources))

        yield start


@asynccontextmanager
async def _running(
    valkey: Valkey, listen: str, sources: dict[str, ScriptedSource]
) -> AsyncIterator[Site]:
    server = Server(valkey.url)
    metrics = Metrics(lambda _sources: EXPIRIES)
    async with server.client() as client, aiohttp.ClientSession() as session:
        catalogs = {name: _catalog(client, name, source) for name, source in sources.items()}
        daemon = Daemon(server, client, Leases(client, LEASE), catalogs, metrics)
        task = asyncio.create_task(daemon.run())
        try:
            async with http_server(listen, daemon, metrics, required=True) as url:
                yield Site(url, daemon, session)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _catalog(client: Client, name: str, source: ScriptedSource) -> Catalog:
    return make_catalog(Store(client, name), source, limits=make_limits(max_removed=0))


@pytest.fixture
async def empty_valkey(valkey: Valkey) -> Valkey:
    """Give the shared Valkey, without any key."""
    async with valkey.client() as client:
        await client.flushall()
    return valkey


@pytest.fixture
def sources() -> dict[str, ScriptedSource]:
    """Give the sources of catalogs `us` and `uk`."""
    return sources_of(["us", "uk"])


def sources_of(names: Iterable[str]) -> dict[str, ScriptedSource]:
    """Return a source with 30 categories for each of `names`."""
    made = {name: ScriptedSource() for name in names}
    for source in made.values():
        source.set_tree(wide(30))
    return made


@pytest.fixture
async def site(
    serve: Serve,
    empty_valkey: Valkey,
    sources: dict[str, ScriptedSource],
) -> Site:
    """Give a publisher that has polled `us` and `uk`."""
    made = await serve(empty_valkey, **sources)
    polls = f'{COUNT}{{outcome="changed"}} {len(sources)}.0'
    sizes = [f'category_publisher_categories{{catalog="{name}"}} 30.0' for name in sources]
    await made.wait_for("/metrics", polls, *sizes)
    return made
