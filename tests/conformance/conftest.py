"""Fixtures: a publisher, and databases that can be stopped."""

import sqlite3
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest

from plumbing.redis.server import Server
from tests.consumers.conftest import logs, real_server
from tests.consumers.pretend_publisher import PretendPublisher
from tests.support.databases import MariaDb, Postgres, empty_database, served
from tests.support.small_reads import _reads_are_small

__all__ = ["_reads_are_small", "logs", "real_server"]


@pytest.fixture(
    params=["sqlite", "postgres", pytest.param("mariadb", marks=pytest.mark.slow)],
)
async def database_url(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[str]:
    """Yield the URL of an empty database; MariaDB only in the slow tests."""
    async with empty_database(request, folder) as url:
        yield url


@pytest.fixture
async def publisher(real_server: Server) -> AsyncIterator[PretendPublisher]:
    """Yield a publisher of catalog `us` on a real server, which has not committed yet."""
    async with real_server.client() as client:
        yield PretendPublisher(client)


class StoppableDatabase(Protocol):
    """A database at `url` that a test can stop and start again."""

    url: str

    @abstractmethod
    def stop(self) -> None:
        """Make the database unavailable."""

    @abstractmethod
    def start_again(self) -> None:
        """Make the database available again."""


class LockedFile(StoppableDatabase):
    """A SQLite file: unavailable while another connection locks it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "locked.sqlite"
        self.url = f"sqlite:///{self._file}?timeout=0.05"
        with closing(sqlite3.connect(self._file)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")

    def stop(self) -> None:
        """Lock the file."""
        self._other = sqlite3.connect(self._file, isolation_level=None)
        self._other.execute("BEGIN EXCLUSIVE")

    def start_again(self) -> None:
        """Unlock the file."""
        self._other.close()


class KilledServer(StoppableDatabase):
    """A database server: unavailable while it is killed."""

    def __init__(self, server: Postgres | MariaDb, url: str) -> None:
        self._server = server
        self.url = url

    def stop(self) -> None:
        """Kill the server and all its connections."""
        self._server.kill()

    def start_again(self) -> None:
        """Start the server on the data that it has written."""
        self._server.start()


@pytest.fixture(scope="session")
def own_postgres() -> Iterator[Postgres]:
    """Yield a PostgreSQL that is shared only by tests that kill it."""
    with served(Postgres) as server:
        yield server


@pytest.fixture(scope="session")
def own_mariadb() -> Iterator[MariaDb]:
    """Yield a MariaDB that is shared only by tests that kill it."""
    with served(MariaDb) as server:
        yield server


@pytest.fixture(
    params=[
        "sqlite",
        "own_postgres",
        pytest.param("own_mariadb", marks=pytest.mark.slow),
    ]
)
async def stoppable(request: pytest.FixtureRequest, folder: Path) -> StoppableDatabase:
    """Return an empty database of each kind in turn, which can be stopped."""
    if request.param == "sqlite":
        return LockedFile(folder)
    server: Postgres | MariaDb = request.getfixturevalue(request.param)
    return KilledServer(server, await server.new())
