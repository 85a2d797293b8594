"""SQLite: explicit transactions, and readers beside a writer.

Python's driver begins a transaction only at its first write. If SQLite refuses the lock then, what
the transaction has read and computed is lost. So the driver's own transactions are switched off,
and `BEGIN` is sent here, `BEGIN IMMEDIATE` for writes.
"""

import asyncio
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection
from sqlalchemy.event import listens_for
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from consumers.sql.backend import Backend

LOCK_SECONDS: Final = 10
"""How long to wait for another writer, unless the URL has `?timeout=…`."""
WAL_RETRY_SECONDS: Final = 0.01
MODE: Final = "sqlite_begin"
CACHE_KIB: Final = 32 * 1024
"""How much of the file a connection may cache. With SQLite's default of 2 MB a transaction of many
rows writes and reads pages again and again: 100,000 rows into empty tables took 2.4 s of processor
time with 2 MB and take 1.5 s with this size."""


async def create_engine(url: URL, must_exist: bool) -> AsyncEngine:  # noqa: FBT001  Backend's
    """Return an engine for the file of `url`, which is created unless it `must_exist`.

    Raises sqlite3.Error or FileNotFoundError if the file cannot be used.
    """
    url = url.set(query={"timeout": str(LOCK_SECONDS), **url.query})
    if must_exist:
        path = Path(url.database or "")
        if not await asyncio.to_thread(path.is_file):
            raise FileNotFoundError("there is no such file")
        url = url.set(database=f"file:{quote(str(path))}")
        url = url.update_query_dict({"uri": "true", "mode": "rw"})  # "rwc" would create it
    engine = create_async_engine(url)
    arguments, options = engine.dialect.create_connect_args(url)
    # a file that must exist may be another program's: do not change its journal mode
    await asyncio.to_thread(_open_once, arguments, options, read_only=must_exist)

    @listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # no BEGIN but ours
        with closing(connection.cursor()) as cursor:
            # A power failure may undo the last transactions, but always data and checkpoint
            # together, so the consumer applies those events again.
            cursor.execute("PRAGMA synchronous = NORMAL")
            cursor.execute(f"PRAGMA cache_size = -{CACHE_KIB}")  # negative: in KiB

    @listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(MODE, "BEGIN"))

    # Release the lock at once when a transaction is cancelled. Closing the connection is not
    # enough: SQLite holds the lock until nothing refers to the connection's statements.
    @listens_for(engine.sync_engine, "invalidate")
    def release_lock(connection: Any, _record: Any, _error: Any) -> None:
        connection.rollback()

    return engine


def _open_once(arguments: Sequence[Any], options: Mapping[str, Any], *, read_only: bool) -> None:
    """Open the file once without aiosqlite, which leaks a thread on failure.

    Unless `read_only`, switch it to a write-ahead log: others can read while a consumer writes.
    """
    end = time.monotonic() + options["timeout"]
    with closing(sqlite3.connect(*arguments, **options)) as connection:
        while not read_only:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                # SQLite itself does not wait for another process that switches at the same time
                if not _is_transient(error) or time.monotonic() > end:
                    raise
                time.sleep(WAL_RETRY_SECONDS)
            else:
                return


def _is_transient(error: BaseException) -> bool:
    return "locked" in str(error)


BACKEND: Final = Backend(
    driver="aiosqlite",
    options=frozenset({"timeout", "uri", "mode", "cache", "immutable", "nolock", "psow", "vfs"}),
    create_engine=create_engine,
    reading={},
    writing={MODE: "BEGIN IMMEDIATE"},
    lock_creation=nullcontext,  # BEGIN IMMEDIATE already keeps other writers out
    errors=(OSError, sqlite3.Error),
    is_transient=_is_transient,
    message_of=str,
    advice={
        "unable to open database file": "does its folder exist, and may this user write there?",
        "readonly database": "may this user write to the file and its folder?",
        "not a database": "name another file",
        "malformed": "name another file; a new copy is built from the state",
        "locked": "another program writes to it: stop it, or wait",
        "disk is full": "make room; nothing of the last transaction was written",
        "disk I/O error": "is there room on the disk, and is the disk healthy?",
        "no such table": "has a projection ever written to it?",
        "no such column|has no column": "the tables are not this program's: name another database",
    },
)
