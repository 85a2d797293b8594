"""Opens the database that `--to` names, and explains its errors in one line.

The URLs are those of SQLAlchemy, but the driver is chosen here, because it must be asynchronous.
"""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Final

import sqlalchemy.exc
from sqlalchemy import URL, Connection, Table, inspect, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from consumers.errors import StoreError, StoreUnavailable
from consumers.sql.backend import Backend
from plumbing.errors import ConfigError

DIALECTS: Final = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}
"""From the first word of a URL to SQLAlchemy's name, which is also that of the module here.

SQLAlchemy finds out when it connects whether a MySQL is a MariaDB.
"""
MOST_PORTS: Final = 1 << 16
EXAMPLE: Final = "sqlite:///categories.db"


class Database:
    """An open database; `address` is its URL without secrets. See `open_database`."""

    def __init__(self, engine: AsyncEngine, backend: Backend, address: str) -> None:
        self._reader = engine.execution_options(**backend.reading)
        self._writer = engine.execution_options(**backend.writing)
        self._backend = backend
        self.address = address

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that reads one consistent moment. Raises StoreError."""
        async with _store_errors(self._backend, self.address), self._reader.begin() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that writes; it is committed unless an error is raised in it."""
        async with _store_errors(self._backend, self.address), self._writer.begin() as connection:
            yield connection

    async def create(self, *tables: Table) -> None:
        """Create those of `tables` (or views) that do not exist.

        Raises StoreError, before anything is created, if another program has a table of that name.
        """
        async with self.writing() as connection, self._backend.lock_creation(connection):
            await connection.run_sync(self._create_missing, tables)

    def _create_missing(self, connection: Connection, tables: Sequence[Table]) -> None:
        inspector = inspect(connection)
        for table in tables:
            if inspector.has_table(name := table.name):
                columns = {column["name"] for column in inspector.get_columns(name)}
                if not columns >= set(table.columns.keys()):
                    raise StoreError(
                        f"{self.address}: there is a table {name}, and it is not this program's: "
                        "name another database"
                    )
        tables[0].metadata.create_all(connection, tables=tables)
        for table in tables:
            for index in table.indexes:  # a kill may have left some out
                index.create(connection, checkfirst=True)

    async def has(self, table: Table) -> bool:
        """Return whether `table` exists."""
        async with self.reading() as connection:
            return await connection.run_sync(lambda sync: inspect(sync).has_table(table.name))


@asynccontextmanager
async def open_database(text: str, *, must_exist: bool = False) -> AsyncIterator[Database]:
    """Open the database of URL `text`.

    A missing SQLite file is created unless it `must_exist`. A database server is contacted only by
    the first transaction. Raises ConfigError if the URL is wrong, StoreError if the file cannot be
    opened.
    """
    url, backend, address = _parse_url(text)
    async with _store_errors(backend, address):
        try:
            engine = await backend.create_engine(url, must_exist)
            engine.dialect.create_connect_args(engine.url)
        except ValueError as error:
            raise ConfigError(f"--to: {address}: an option's value is invalid: {error}") from error
    try:
        yield Database(engine, backend, address)
    finally:
        await engine.dispose()


@asynccontextmanager
async def _store_errors(backend: Backend, address: str) -> AsyncIterator[None]:
    """Turn errors of the database into StoreErrors without statement and values."""
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        cause = error.orig if error.orig is not None else error
        raise _store_error(backend, address, cause, lost=error.connection_invalidated) from error
    except backend.errors as error:
        raise _store_error(backend, address, error, lost=False) from error


def _store_error(backend: Backend, address: str, error: BaseException, *, lost: bool) -> StoreError:
    message = " ".join(backend.message_of(error).split()) or type(error).__name__
    advice = [what for pattern, what in backend.advice.items() if re.search(pattern, message)]
    text = f"{address}: {message}" + (f" ({advice[0]})" if advice else "")
    return StoreUnavailable(text) if lost or backend.is_transient(error) else StoreError(text)


def _parse_url(text: str) -> tuple[URL, Backend, str]:
    """Return the URL with our driver, the backend, and the address for messages.

    If `text` is not a URL, the message does not repeat it: there may be a password anywhere in it.
    """
    try:
        text.encode()
        url = make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise ConfigError(f"--to: not a database URL such as {EXAMPLE}") from None
    name = url.drivername.partition("+")[0]
    backend: Backend | None = None
    if name in DIALECTS:  # import only one backend, because importing a driver takes time
        backend = import_module(f"consumers.sql.{DIALECTS[name]}").BACKEND
    if backend is None or url.drivername not in {name, f"{name}+{backend.driver}"}:
        raise ConfigError(
            f"--to: no database of kind {url.drivername} can be written: "
            "take sqlite:///path, postgresql://… or mysql://…"
        )
    _check_url(url, name, backend)
    address = url.set(query={}).render_as_string(hide_password=True)
    return url.set(drivername=f"{DIALECTS[name]}+{backend.driver}"), backend, address


def _check_url(url: URL, name: str, backend: Backend) -> None:
    is_in_memory = ":memory:" in (url.database or "") or url.query.get("mode") == "memory"
    if name == "sqlite" and (url.host or not url.database or is_in_memory):
        raise ConfigError(
            "--to: sqlite needs a file: sqlite:///path relative to this folder, "
            "sqlite:////path from the root"
        )
    if url.port is not None and not 0 < url.port < MOST_PORTS:
        raise ConfigError(f"--to: there is no port {url.port}")
    if not url.database:
        raise ConfigError(f"--to: the URL names no database: use {name}://user@host/name")
    if unknown := sorted(set(url.query) - backend.options):
        known = ", ".join(sorted(backend.options))
        raise ConfigError(f"--to: option {unknown[0]!r} of {name} is unknown; known: {known}")
