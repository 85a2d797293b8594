"""What the tour needs: a source, a catalog, and a consumer's client.

The tests control the source.
"""

from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from consumers.api import CatalogClient
from consumers.following.catalog_client import connect
from plumbing.redis.server import Server
from publisher.polling.poll import Catalog
from publisher.state.store import Store
from tests.support.catalogs import make_catalog
from tests.support.scripted_source import ScriptedSource
from tests.support.valkey import Valkey


@pytest.fixture
def source() -> ScriptedSource:
    """Give a source that returns the tree that the test sets."""
    return ScriptedSource()


@pytest.fixture
def catalog(real_client: redis.asyncio.Redis, source: ScriptedSource) -> Catalog:
    """Give catalog `us` of that source, in an empty Valkey, with the default limits."""
    return make_catalog(Store(real_client, "us"), source)


@pytest.fixture
async def reading(valkey: Valkey, catalog: Catalog) -> AsyncIterator[CatalogClient]:
    """Give what a consumer reads the catalog with.

    As with --once, it waits for nothing.
    """
    async with connect(Server(valkey.url), catalog.name, once=True) as client:
        yield client
