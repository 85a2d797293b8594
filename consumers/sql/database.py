"""Opening the database that `--to` names, and saying in one line what is wrong with it.

The URLs are SQLAlchemy's, but the driver is ours to choose, since it has to be asynchronous.
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
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
"""By the name at the beginning of a URL, SQLAlchemy's for it, which is that of its module here too.

That a MySQL is a MariaDB SQLAlchemy learns when it connects.
"""
MOST_PORTS: Final = 1 << 16
EXAMPLE: Final = "sqlite:///categories.db"


class Database:
    """A database that is open. Get one with `open_database`; `address` is fit for messages."""

    def __init__(self, engine: AsyncEngine, backend: Backend, address: str) -> None:
        self._engine = engine
        self._reader = engine.execution_options(**backend.reading)
        self._writer = engine.execution_options(**backend.writing)
        self._backend = backend
        self.address = address

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a transaction that reads, all of it at one moment; StoreError if refused."""
        with _clear_errors(self._backend, self.address):
            async with self._reader.begin() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Give a transaction that writes, committed at the end unless something was raised."""
        with _clear_errors(self._backend, self.address):
            async with self._writer.begin() as connection:
                yield connection

    async def create(self, *tables: Table) -> None:
        """Create those of `tables` (or views) that are not there.

        Raises StoreError before anything is created if one of that name is somebody else's.
        """
        async with self.writing() as connection, self._backend.creating(connection):
            if foreign := await connection.run_sync(_foreign, tables):
                raise StoreError(
                    f"{self.address}: there is a table {foreign}, and it is not this program's: "
                    "name another database"
                )
            await connection.run_sync(_create, tables)

    async def has(self, table: Table) -> bool:
        """Say whether `table` is there."""
        async with self.reading() as connection:
            return await connection.run_sync(_has, table)


def _has(connection: Connection, table: Table) -> bool:
    return bool(inspect(connection).has_table(table.name))


def _create(connection: Connection, tables: Sequence[Table]) -> None:
    """Create what is not there of `tables`, and of their indexes: a kill may have come between."""
    tables[0].metadata.create_all(connection, tables=tables)
    for table in tables:
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def _foreign(connection: Connection, tables: Sequence[Table]) -> str | None:
    """Return the name of one of `tables` that is there without columns that ours has."""
    there = inspect(connection)
    for table in tables:
        if there.has_table(table.name):
            columns = {column["name"] for column in there.get_columns(table.name)}
            if not columns >= set(table.columns.keys()):
                return table.name
    return None


@asynccontextmanager
async def open_database(text: str, *, must_exist: bool = False) -> AsyncIterator[Database]:
    """Open the database of URL `text`: a file is created if need be, or with `must_exist` not.

    A server is not asked before the first transaction. Raises ConfigError if the URL cannot be
    right, StoreError if there is no such file.
    """
    url, backend, address = _parse(text)
    with _clear_errors(backend, address):
        try:
            engine = await backend.engine_of(url, must_exist)
            engine.dialect.create_connect_args(engine.url)
        except ValueError as error:
            raise ConfigError(f"--to: {address}: an option has no such value: {error}") from error
    try:
        yield Database(engine, backend, address)
    finally:
        await engine.dispose()


@contextmanager
def _clear_errors(backend: Backend, address: str) -> Iterator[None]:
    """Raise whatever the database says as a StoreError, without statement and values."""
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        cause = error.orig if error.orig is not None else error
        raise _clear(backend, address, cause, lost=error.connection_invalidated) from error
    except backend.errors as error:
        raise _clear(backend, address, error, lost=False) from error


def _clear(backend: Backend, address: str, error: BaseException, *, lost: bool) -> StoreError:
    message = " ".join(backend.text_of(error).split()) or type(error).__name__
    advice = [what for part, what in backend.advice.items() if re.search(part, message)]
    told = f"{address}: {message}" + (f" ({advice[0]})" if advice else "")
    return StoreUnavailable(told) if lost or backend.may_pass(error) else StoreError(told)


def _parse(text: str) -> tuple[URL, Backend, str]:
    """Return `text` as a URL with our driver, its backend, and how messages may show it.

    A text that is no URL is not repeated: who knows where the password stands in it.
    """
    try:
        text.encode()
        url = make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise ConfigError(f"--to: not a database URL such as {EXAMPLE}") from None
    name = url.drivername.partition("+")[0]
    backend = _backend(DIALECTS[name]) if name in DIALECTS else None
    if backend is None or url.drivername not in {name, f"{name}+{backend.driver}"}:
        raise ConfigError(
            f"--to: no database of kind {url.drivername} can be written: "
            "take sqlite:///path, postgresql://… or mysql://…"
        )
    _check(url, name, backend)
    address = url.set(query={}).render_as_string(hide_password=True)
    return url.set(drivername=f"{DIALECTS[name]}+{backend.driver}"), backend, address


def _backend(dialect: str) -> Backend:
    """Import the one backend that is wanted: the drivers of the others take their time."""
    backend: Backend = import_module(f"consumers.sql.{dialect}").BACKEND
    return backend


def _check(url: URL, name: str, backend: Backend) -> None:
    is_in_memory = ":memory:" in (url.database or "") or url.query.get("mode") == "memory"
    if name == "sqlite" and (url.host or not url.database or is_in_memory):
        raise ConfigError(
            "--to: sqlite needs a file: sqlite:///path relative to this folder, "
            "sqlite:////path from the root"
        )
    if url.port is not None and not 0 < url.port < MOST_PORTS:
        raise ConfigError(f"--to: there is no port {url.port}")
    if not url.database:
        raise ConfigError(f"--to: which database? {name}://user@host/database")
    if unknown := sorted(set(url.query) - backend.options):
        known = ", ".join(sorted(backend.options))
        raise ConfigError(f"--to: {name} has no option {unknown[0]} here, but: {known}")
