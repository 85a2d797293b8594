"""Fixtures of the conformance suite: who publishes, and databases that go away."""

import sqlite3
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest

from plumbing.redis.server import Server
from tests.consumers.conftest import _an_outage_is_waited_for, logs, real_server
from tests.consumers.pretend_publisher import PretendPublisher
from tests.support.databases import MariaDb, Postgres, empty_database, served
from tests.support.small_reads import _reads_are_small

__all__ = ["_an_outage_is_waited_for", "_reads_are_small", "logs", "real_server"]


@pytest.fixture(
    params=["sqlite", "postgres", pytest.param("mariadb", marks=pytest.mark.slow)],
)
async def database_url(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[str]:
    """Give the URL of an empty database; of MariaDB only where there are minutes."""
    async with empty_database(request, folder) as url:
        yield url


@pytest.fixture
async def publisher(real_server: Server) -> AsyncIterator[PretendPublisher]:
    """Give a publisher of catalog `us` on a real server, which has not polled yet."""
    async with real_server.client() as client:
        yield PretendPublisher(client)


class Mortal(Protocol):
    """A database of a test's own at `url`, to be ill-treated."""

    url: str

    @abstractmethod
    def go_away(self) -> None:
        """Let nobody be answered from now on."""

    @abstractmethod
    def come_back(self) -> None:
        """Be there again."""


class LockedFile(Mortal):
    """A SQLite file is away while another program does not let go of it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "locked.sqlite"
        self.url = f"sqlite:///{self._file}?timeout=0.05"
        with closing(sqlite3.connect(self._file)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")

    def go_away(self) -> None:
        """Lock the file."""
        self._other = sqlite3.connect(self._file, isolation_level=None)
        self._other.execute("BEGIN EXCLUSIVE")

    def come_back(self) -> None:
        """Let go of the file."""
        self._other.close()


class KilledServer(Mortal):
    """A database server is away while it does not run."""

    def __init__(self, server: Postgres | MariaDb, url: str) -> None:
        self._server = server
        self.url = url

    def go_away(self) -> None:
        """Kill the server, with all who are connected."""
        self._server.kill()

    def come_back(self) -> None:
        """Start the server on what it has written."""
        self._server.start()


@pytest.fixture(scope="session")
def mortal_postgres() -> Iterator[Postgres]:
    """Give a PostgreSQL that only tests which kill it share."""
    with served(Postgres) as server:
        yield server


@pytest.fixture(scope="session")
def mortal_mariadb() -> Iterator[MariaDb]:
    """Give a MariaDB that only tests which kill it share."""
    with served(MariaDb) as server:
        yield server


@pytest.fixture(
    params=[
        "sqlite",
        "mortal_postgres",
        pytest.param("mortal_mariadb", marks=pytest.mark.slow),
    ]
)
async def mortal(request: pytest.FixtureRequest, folder: Path) -> Mortal:
    """Give an empty database that can go away: SQLite, then PostgreSQL, then MariaDB."""
    if request.param == "sqlite":
        return LockedFile(folder)
    server: Postgres | MariaDb = request.getfixturevalue(request.param)
    return KilledServer(server, await server.new())
