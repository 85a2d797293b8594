"""Fixtures for consumers: a server (fakeredis, then a real one) and who publishes to it."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis.asyncio
import stamina
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


@pytest.fixture(autouse=True)
def _an_outage_is_waited_for() -> Iterator[None]:
    """Let a consumer wait as long as it does for a user."""
    with stamina.set_testing(False):
        yield


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    """Give what is logged during the test, from level info on."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("info"))
    with capture_logs() as entries:
        yield entries
    structlog.configure(**before)


@pytest.fixture(params=["fakeredis", "valkey"])
async def server(request: pytest.FixtureRequest) -> Server:
    """Give an empty server: fakeredis, then a real Valkey."""
    if request.param == "fakeredis":
        return FakeServer("redis://fake")
    return await emptied(request.getfixturevalue("valkey"))


@pytest.fixture
async def real_server(valkey: Valkey) -> Server:
    """Give an empty Valkey."""
    return await emptied(valkey)


async def emptied(valkey: Valkey) -> Server:
    """Return `valkey` with nothing in it."""
    server = Server(valkey.url)
    async with server.client() as client:
        await client.flushall()
    return server


@pytest.fixture
async def publisher(server: Server) -> AsyncIterator[PretendPublisher]:
    """Give a publisher of catalog `us` on `server`, which has not polled yet."""
    async with server.client() as client:
        yield PretendPublisher(client)


@pytest.fixture
def to(folder: Path) -> str:
    """Give the URL of a SQLite file that is not there yet."""
    return f"sqlite:///{folder / 'copy.sqlite'}"
