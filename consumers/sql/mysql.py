"""MySQL and MariaDB: strict mode, isolation levels, transient errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncmy.errors
from sqlalchemy import URL, Connection, text
from sqlalchemy.event import listens_for
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from consumers.errors import StoreUnavailable
from consumers.sql.backend import Backend

CONNECT_SECONDS: Final = 10
CREATING: Final = "category-publisher"
"""The lock for creating our tables. CREATE ends a transaction here, so no transaction helps."""
CREATING_SECONDS: Final = 60
MODE: Final = "mysql_level"
STRICT: Final = "SET SESSION sql_mode = 'STRICT_ALL_TABLES'"
"""Set whatever the server's own mode is: without it a value that is too long is cut silently."""
TRANSIENT: Final = (1040, 1053, 1205, 1213, 1290, 1836, 1927, 2002, 2003, 2006, 2013, 2055)
"""Too many connections, stopping, locked, deadlock, read-only, killed, unreachable, lost.
Source: MySQL error reference."""


async def create_engine(url: URL, _must_exist: bool) -> AsyncEngine:  # noqa: FBT001  Backend's
    """Return an engine for `url`; the first transaction connects to the server."""
    engine = create_async_engine(
        url.update_query_dict({"charset": "utf8mb4"}),
        isolation_level="REPEATABLE READ",
        connect_args={"connect_timeout": CONNECT_SECONDS, "init_command": STRICT},
    )

    # The engine's own isolation level is set only once, when it connects. If SQLAlchemy sets the
    # level of a transaction that writes, a cancellation leaks a connection.
    @listens_for(engine.sync_engine, "begin")
    def set_level(connection: Connection) -> None:
        if level := connection.get_execution_options().get(MODE):
            connection.exec_driver_sql(f"SET TRANSACTION ISOLATION LEVEL {level}")

    return engine


@asynccontextmanager
async def _lock_creation(connection: AsyncConnection) -> AsyncIterator[None]:
    """Wait until no other process creates tables, and keep others from it."""
    lock = {"lock": CREATING, "seconds": CREATING_SECONDS}
    if await connection.scalar(text("SELECT GET_LOCK(:lock, :seconds)"), lock) != 1:
        raise StoreUnavailable(f"another process has been creating tables for {CREATING_SECONDS} s")
    try:
        yield
    finally:
        await connection.execute(text("SELECT RELEASE_LOCK(:lock)"), {"lock": CREATING})


def message_of(error: BaseException) -> str:
    """Return the message and the code of an error `(code, message)`."""
    code, *rest = error.args or ("",)
    return f"{rest[0]} (error {code})" if rest else str(error)


BACKEND: Final = Backend(
    driver="asyncmy",
    options=frozenset({"unix_socket", "charset", "ssl_ca", "ssl_cert", "ssl_key"}),
    create_engine=create_engine,
    reading={},
    writing={MODE: "READ COMMITTED"},
    lock_creation=_lock_creation,
    errors=(OSError, asyncmy.errors.Error),
    is_transient=lambda error: (
        isinstance(error, OSError) or (bool(error.args) and error.args[0] in TRANSIENT)
    ),
    message_of=message_of,
    advice={
        "^Access denied": "are user, password and database right?",
        "Unknown database": "create it, or name another one",
        "command denied": "grant this user the right to do that",
        "doesn't exist": "has a projection ever written to it?",
        "Unknown column": "the tables are not this program's: name another database",
        "is full": "make room; nothing of the last transaction was written",
        "Can't connect": "is it running, and is the address right?",
    },
)
"""Writers use READ COMMITTED because only then InnoDB does not lock the gaps between rows. With gap
locks, consumers of different catalogs that write to empty tables end in a deadlock. An UPDATE sees
what others have committed at either level (InnoDB, locking reads)."""
