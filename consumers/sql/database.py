"""Opening the database that `--to` names, and saying in one line what is wrong with it.

SQLAlchemy's URLs, of which the driver is ours to choose since it has to be an asynchronous one.
SQLite gets transactions that are real ones: Python's driver would begin them late, and a late
lock means work thrown away; so it is switched off and `BEGIN` is said here.
"""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy.event
import sqlalchemy.exc
from sqlalchemy import URL, Connection, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from consumers.errors import StoreError
from plumbing.errors import ConfigError

DRIVERS: Final = {"sqlite": "aiosqlite", "postgresql": "asyncpg", "mysql": "asyncmy"}
EXAMPLE: Final = "sqlite:///categories.db"
LOCK_SECONDS: Final = 10
"""How long SQLite waits for another writer; `?timeout=…` in the URL wins."""
ADVICE: Final = {
    "unable to open database file": "does its folder exist, and may this user write there?",
    "readonly database": "may this user write to the file and its folder?",
    "not a database": "name another file",
    "malformed": "name another file; a new copy is made from the state",
    "locked": "another program writes to it: end that, or wait",
    "disk is full": "make room; nothing of the last transaction was written",
    "disk I/O error": "is there room on the disk, and is it well?",
    "no such table": "has a mirror ever written to it?",
    "no such column": "the tables are not this program's: name another database",
    "has no column": "the tables are not this program's: name another database",
}
"""What to do, by a part of what SQLite says."""


class Database:
    """A database that is open. Get one with `opened`; `address` is fit for messages."""

    def __init__(self, engine: AsyncEngine, address: str) -> None:
        self._engine = engine
        self._writer = engine.execution_options(begin="BEGIN IMMEDIATE")
        self.address = address

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a transaction that reads, all of it at one moment; StoreError if refused."""
        with self._clear_errors():
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Give a transaction that writes, committed at the end unless something was raised."""
        with self._clear_errors():
            async with self._writer.begin() as connection:
                yield connection

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlalchemy.exc.DBAPIError as error:
            raise self._error(error.orig) from error
        except (sqlite3.Error, OSError) as error:  # of connecting, which SQLAlchemy lets through
            raise self._error(error) from error

    def _error(self, error: BaseException | None) -> StoreError:
        message = str(error)
        advice = [text for part, text in ADVICE.items() if part in message]
        return StoreError(f"{self.address}: {message}" + (f" ({advice[0]})" if advice else ""))


@asynccontextmanager
async def opened(text: str, *, must_exist: bool = False) -> AsyncIterator[Database]:
    """Open the database of URL `text`, which is created if need be (SQLite), or must be there.

    Raises ConfigError if the URL cannot be right, StoreError if there is no such database.
    """
    url, address = _parse(text)
    if url.get_backend_name() == "sqlite":
        engine = _sqlite(url, address, must_exist=must_exist)
    else:
        engine = create_async_engine(url)
    try:
        yield Database(engine, address)
    finally:
        await engine.dispose()


def _parse(text: str) -> tuple[URL, str]:
    """Return `text` as a URL with our driver, and as messages may show it.

    A text that is no URL is not repeated: who knows where the password stands in it.
    """
    try:
        url = make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise ConfigError(f"--to: not a database URL such as {EXAMPLE}") from None
    backend = url.get_backend_name()
    driver = DRIVERS.get(backend)
    if driver is None or url.drivername not in {backend, f"{backend}+{driver}"}:
        raise ConfigError(
            f"--to: no database of kind {url.drivername} can be written: "
            "take sqlite:///path, postgresql://… or mysql://…"
        )
    if find_spec(driver) is None:
        raise ConfigError(
            f"--to: {backend} needs the Python package {driver}, which is not installed"
        )
    if backend == "sqlite" and (url.host or url.database in {None, "", ":memory:"}):
        raise ConfigError(
            "--to: sqlite needs a file: sqlite:///path relative to this folder, "
            "sqlite:////path from the root"
        )
    address = url.set(query={}).render_as_string(hide_password=True)
    return url.set(drivername=f"{backend}+{driver}"), address


def _sqlite(url: URL, address: str, *, must_exist: bool) -> AsyncEngine:
    url = url.set(query={"timeout": str(LOCK_SECONDS), **url.query})
    if must_exist and "uri" not in url.query:
        path = Path(url.database or "")
        if not path.is_file():
            raise StoreError(f"{address}: there is no such file")
        url = url.set(database=f"file:{quote(str(path))}")
        url = url.update_query_dict({"uri": "true", "mode": "rw"})  # not "rwc": creates nothing
    engine = create_async_engine(url)
    sqlalchemy.event.listen(engine.sync_engine, "connect", _hold_transactions)
    if not must_exist:
        sqlalchemy.event.listen(engine.sync_engine, "connect", _log_ahead)
    sqlalchemy.event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _hold_transactions(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # no BEGIN but ours


def _log_ahead(connection: Any, _record: Any) -> None:
    """Let others read while a mirror writes.

    A power failure may cost the last transactions, checkpoint and all: the reader goes on from
    there. Data and checkpoint stay together, which is what counts.
    """
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
