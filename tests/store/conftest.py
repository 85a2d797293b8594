"""Fixtures for the publisher on a store: a source that says what the test wants."""

from collections.abc import Callable

import pytest
import redis.asyncio

from publisher.guard import Limits
from publisher.poll import Catalog
from publisher.store import Store
from tests.store.scripted import ScriptedSource

MakeCatalog = Callable[..., Catalog]

ORIGIN = {
    "source": "file",
    "locale": None,
    "category_version": None,
    "listing_platform": None,
    "include_prohibited_categories": None,
}


@pytest.fixture
def source() -> ScriptedSource:
    """Give a source that has nothing to say yet."""
    return ScriptedSource()


@pytest.fixture
def catalog(client: redis.asyncio.Redis, source: ScriptedSource) -> Catalog:
    """Give catalog `us` on the store, with the default limits."""
    return Catalog("us", dict(ORIGIN), source, Store(client, "us"), Limits())
