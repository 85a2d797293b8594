"""Fixtures for consumers: a server (fakeredis, then a real one) and a publisher."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis.asyncio
import structlog
from structlog.testing import capture_logs

from plumbing.redis.server import COMMAND_TIMEOUT, RETRIES, Server
from tests.consumers.pretend_publisher import PretendPublisher
from tests.support.small_reads import _reads_are_small
from tests.support.valkey import Valkey, fake_client

__all__ = ["_reads_are_small"]


@dataclass(frozen=True)
class FakeServer(Server):
    """A server in this process."""

    backing: fakeredis.FakeServer = field(default_factory=fakeredis.FakeServer)

    def client(
        self, *, timeout: float = COMMAND_TIMEOUT, retries: int = RETRIES
    ) -> redis.asyncio.Redis:
        """Return a client of it; without a time-out, so that none loses a cancellation."""
        del timeout, retries
        return fake_client(self.backing)


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    """Yield the events that are logged during the test, from level info on."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("info"))
    with capture_logs() as entries:
        yield entries
    structlog.configure(**before)


@pytest.fixture(params=["fakeredis", "valkey"])
async def server(request: pytest.FixtureRequest) -> Server:
    """Return an empty server: fakeredis, then a real Valkey."""
    if request.param == "fakeredis":
        return FakeServer("redis://fake")
    return await emptied(request.getfixturevalue("valkey"))


@pytest.fixture
async def real_server(valkey: Valkey) -> Server:
    """Return an empty Valkey."""
    return await emptied(valkey)


async def emptied(valkey: Valkey) -> Server:
    """Return the server `valkey`, emptied."""
    server = Server(valkey.url)
    async with server.client() as client:
        await client.flushall()
    return server


@pytest.fixture
async def publisher(server: Server) -> AsyncIterator[PretendPublisher]:
    """Yield a publisher of catalog `us` on `server`, which has not committed yet."""
    async with server.client() as client:
        yield PretendPublisher(client)


@pytest.fixture
def to(folder: Path) -> str:
    """Return the URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{folder / 'copy.sqlite'}"
