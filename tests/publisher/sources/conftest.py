from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import aiohttp
import pytest
import structlog
from structlog.testing import capture_logs

from publisher.sources import transport
from tests.publisher.sources.fake_shop import FakeShop


@pytest.fixture
async def shop() -> AsyncIterator[FakeShop]:
    async with FakeShop() as shop:
        yield shop


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with transport.open_session() as session:
        yield session


@pytest.fixture
def log_lines() -> Iterator[list[MutableMapping[str, Any]]]:
    """Give the lines logged during the test, from level info on."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("info"))
    with capture_logs() as lines:
        yield lines
    structlog.configure(wrapper_class=before)
