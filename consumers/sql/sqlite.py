"""What SQLite needs to be a database like others: transactions that are ones, and readers beside.

Python's driver begins transactions late, and a late lock means work that is thrown away; so its
own are switched off, and `BEGIN` is said here, `IMMEDIATE` where something will be written.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy.event
from sqlalchemy import URL, Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from consumers.sql.backend import Backend

LOCK_SECONDS: Final = 10
"""How long another writer is waited for; `?timeout=…` in the URL wins."""
SWITCH_AGAIN_SECONDS: Final = 0.01
MODE: Final = "sqlite_begin"
CACHE_KIB: Final = 32 * 1024
"""How much of the file a connection may keep in memory, if it is that large. With SQLite's own 2 MB
a transaction of many rows writes and reads pages again and again: 100,000 rows into empty tables
took 2.4 s of processor time so, and take 1.5 with this."""


async def _engine_of(url: URL, must_exist: bool) -> AsyncEngine:  # noqa: FBT001  Backend's
    """Return an engine for the file of `url`, which is created if need be, or has to be there.

    Raises sqlite3.Error or FileNotFoundError if the file cannot be used.
    """
    url = url.set(query={"timeout": str(LOCK_SECONDS), **url.query})
    if must_exist:
        url = _not_created(url)
    engine = create_async_engine(url)
    arguments, options = engine.dialect.create_connect_args(url)
    await asyncio.to_thread(_try_out, arguments, options, read_only=must_exist)
    sqlalchemy.event.listen(engine.sync_engine, "connect", _set_up)
    sqlalchemy.event.listen(engine.sync_engine, "begin", _begin)
    sqlalchemy.event.listen(engine.sync_engine, "invalidate", _roll_back)
    return engine


def _not_created(url: URL) -> URL:
    path = Path(url.database or "")
    if not path.is_file():
        raise FileNotFoundError("there is no such file")
    url = url.set(database=f"file:{quote(str(path))}")
    return url.update_query_dict({"uri": "true", "mode": "rw"})  # "rwc" would create it


def _try_out(arguments: Sequence[Any], options: Mapping[str, Any], *, read_only: bool) -> None:
    """Open the file once, here: where aiosqlite fails to, it leaves a thread behind.

    With a write-ahead log, which the file keeps from now on, others can read while a mirror writes.
    """
    with closing(sqlite3.connect(*arguments, **options)) as connection:
        if not read_only:
            _keep_log(connection, time.monotonic() + options["timeout"])


def _keep_log(connection: sqlite3.Connection, end: float) -> None:
    """Switch to the log; of several who do that to a new file at once, SQLite lets none wait."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not _may_pass(error) or time.monotonic() > end:
                raise
            time.sleep(SWITCH_AGAIN_SECONDS)
        else:
            return


def _set_up(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # no BEGIN but ours
    cursor = connection.cursor()
    # A power failure may cost the last transactions, checkpoint and all: the reader goes on from
    # there. Data and checkpoint stay together, which is what counts.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute(f"PRAGMA cache_size = -{CACHE_KIB}")  # a negative number counts KiB
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(MODE, "BEGIN"))


def _roll_back(connection: Any, _record: Any, _error: Any) -> None:
    """Let go of the lock at once where a transaction was cancelled.

    Closing the connection is not enough: SQLite keeps it until nobody refers to its statements.
    """
    connection.rollback()


@asynccontextmanager
async def _creating(_connection: AsyncConnection) -> AsyncIterator[None]:
    """Do nothing more: BEGIN IMMEDIATE keeps others out."""
    yield


def _may_pass(error: BaseException) -> bool:
    return "locked" in str(error)


BACKEND: Final = Backend(
    driver="aiosqlite",
    options=frozenset({"timeout", "uri", "mode", "cache", "immutable", "nolock", "psow", "vfs"}),
    engine_of=_engine_of,
    reading={},
    writing={MODE: "BEGIN IMMEDIATE"},
    creating=_creating,
    errors=(OSError, sqlite3.Error),
    may_pass=_may_pass,
    text_of=str,
    advice={
        "unable to open database file": "does its folder exist, and may this user write there?",
        "readonly database": "may this user write to the file and its folder?",
        "not a database": "name another file",
        "malformed": "name another file; a new copy is made from the state",
        "locked": "another program writes to it: end that, or wait",
        "disk is full": "make room; nothing of the last transaction was written",
        "disk I/O error": "is there room on the disk, and is it well?",
        "no such table": "has a projection ever written to it?",
        "no such column": "the tables are not this program's: name another database",
        "has no column": "the tables are not this program's: name another database",
    },
)
