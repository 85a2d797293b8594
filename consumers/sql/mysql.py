"""What MySQL and MariaDB need: one process that creates tables, and which refusals may pass."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import asyncmy.errors
import sqlalchemy.event
from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from consumers.errors import StoreUnavailable
from consumers.sql.backend import Backend

CONNECT_SECONDS: Final = 10
CREATING: Final = "category-publisher"
"""The lock of who creates our tables; here CREATE ends a transaction, so it is no part of one."""
CREATING_SECONDS: Final = 60
MODE: Final = "mysql_level"
STRICT: Final = "SET SESSION sql_mode = 'STRICT_ALL_TABLES'"
"""Whatever the server's own mode is: without it a value that is too long is cut in silence."""
PASSING: Final = frozenset({1040, 1053, 1205, 1213, 1290, 1836, 1927, 2002, 2003, 2006, 2013, 2055})
"""Too many connections, stopping, locked, deadlock, read-only, killed, away, lost. Source: MySQL
error reference."""


async def _engine_of(url: URL, _must_exist: bool) -> AsyncEngine:  # noqa: FBT001  Backend's
    engine = create_async_engine(
        url.update_query_dict({"charset": "utf8mb4"}),
        isolation_level="REPEATABLE READ",
        connect_args={"connect_timeout": CONNECT_SECONDS, "init_command": STRICT},
    )
    sqlalchemy.event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    """Set the level of who writes here.

    That of the engine is set once, when it connects. Where SQLAlchemy sets one for a transaction,
    a cancellation leaves a connection behind.
    """
    if level := connection.get_execution_options().get(MODE):
        connection.exec_driver_sql(f"SET TRANSACTION ISOLATION LEVEL {level}")


@asynccontextmanager
async def _creating(connection: AsyncConnection) -> AsyncIterator[None]:
    """Wait for whoever creates tables now."""
    lock = {"lock": CREATING, "seconds": CREATING_SECONDS}
    if await connection.scalar(text("SELECT GET_LOCK(:lock, :seconds)"), lock) != 1:
        raise StoreUnavailable(f"another process has been creating tables for {CREATING_SECONDS} s")
    try:
        yield
    finally:
        await connection.execute(text("SELECT RELEASE_LOCK(:lock)"), {"lock": CREATING})


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, OSError) or (bool(error.args) and error.args[0] in PASSING)


def _text_of(error: BaseException) -> str:
    """Return the message of `(code, message)`, with the code behind it."""
    code, *rest = error.args or ("",)
    return f"{rest[0]} (error {code})" if rest else str(error)


BACKEND: Final = Backend(
    driver="asyncmy",
    options=frozenset({"unix_socket", "charset", "ssl_ca", "ssl_cert", "ssl_key"}),
    engine_of=_engine_of,
    reading={},
    writing={MODE: "READ COMMITTED"},
    creating=_creating,
    errors=(OSError, asyncmy.errors.Error),
    may_pass=_may_pass,
    text_of=_text_of,
    advice={
        "^Access denied": "are user, password and database right?",
        "Unknown database": "create it, or name another one",
        "command denied": "grant this user the right to do that",
        "doesn't exist": "has a projection ever written to it?",
        "Unknown column": "the tables are not this program's: name another database",
        "is full": "make room; nothing of the last transaction was written",
        "Can't connect": "does it run, and is the address right?",
    },
)
"""An UPDATE sees what others have committed in any case (InnoDB, locking reads). But only under
READ COMMITTED does InnoDB not lock the gaps between rows too, in which consumers of different
catalogs that write to empty tables would otherwise end in a deadlock."""
