"""Opening the database that `--to` names, and saying in one line what is wrong with it.

The URLs are SQLAlchemy's, but the driver is ours to choose, since it has to be asynchronous.
"""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from typing import Final

import sqlalchemy.exc
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from consumers.errors import StoreError
from consumers.sql import sqlite
from plumbing.errors import ConfigError

DRIVERS: Final = {"sqlite": "aiosqlite", "postgresql": "asyncpg", "mysql": "asyncmy"}
EXAMPLE: Final = "sqlite:///categories.db"
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
        self._writer = engine.execution_options(**sqlite.WRITING)
        self.address = address

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a transaction that reads, all of it at one moment; StoreError if refused."""
        with _clear_errors(self.address):
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Give a transaction that writes, committed at the end unless something was raised."""
        with _clear_errors(self.address):
            async with self._writer.begin() as connection:
                yield connection


@asynccontextmanager
async def opened(text: str, *, must_exist: bool = False) -> AsyncIterator[Database]:
    """Open the database of URL `text`, which is created if need be (SQLite), or must be there.

    Raises ConfigError if the URL cannot be right, StoreError if there is no such database.
    """
    url, address = _parse(text)
    with _clear_errors(address):
        engine = await _engine_of(url, must_exist=must_exist)
    try:
        yield Database(engine, address)
    finally:
        await engine.dispose()


async def _engine_of(url: URL, *, must_exist: bool) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        return await sqlite.engine_of(url, must_exist=must_exist)
    return create_async_engine(url)


@contextmanager
def _clear_errors(address: str) -> Iterator[None]:
    """Raise whatever the database says as a StoreError, without statement and values."""
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        raise _clear(address, error.orig) from error
    except (sqlite3.Error, OSError) as error:
        raise _clear(address, error) from error


def _clear(address: str, error: BaseException | None) -> StoreError:
    message = str(error)
    advice = [text for part, text in ADVICE.items() if part in message]
    return StoreError(f"{address}: {message}" + (f" ({advice[0]})" if advice else ""))


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
