"""Fixtures for polls: a catalog, its source, the log, and the keys in Redis.

The catalog is on a store.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
import redis
import redis.asyncio
import structlog
from structlog.testing import LogCapture

from publisher.polling.cache import StateCache
from publisher.polling.poll import Catalog
from publisher.state.store import Store
from tests.support.catalogs import make_catalog
from tests.support.scripted_source import ScriptedSource
from tests.support.valkey import Valkey


@pytest.fixture
def source() -> ScriptedSource:
    """Give a source without a tree yet."""
    return ScriptedSource()


@pytest.fixture
async def catalog(client: redis.asyncio.Redis, source: ScriptedSource) -> AsyncIterator[Catalog]:
    """Give catalog `us` with default settings and a cache, as the daemon has it."""
    async with aclosing(StateCache()) as cache:
        yield make_catalog(Store(client, "us"), source, state_cache=cache)


@pytest.fixture
def keys(valkey: Valkey) -> Iterator[redis.Redis]:
    """Give a client of the server, which is empty; it knows the contract alone."""
    with redis.Redis.from_url(valkey.url, protocol=2, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def logged() -> Any:
    """Give the list of log entries, from level info on."""
    before = structlog.get_config()
    capture = LogCapture()
    structlog.configure(
        processors=[capture], wrapper_class=structlog.make_filtering_bound_logger("info")
    )
    yield capture.entries
    structlog.configure(**before)
