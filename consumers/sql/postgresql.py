"""PostgreSQL: isolation levels, and which errors are transient."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from consumers.sql.backend import Backend

CONNECT_SECONDS: Final = 10
CREATING: Final = 0x6361_7465_676F_7279
"""The advisory lock for creating our tables: `category` in ASCII."""
TRANSIENT: Final = ("08", "57P01", "57P02", "57P03", "53300", "40", "55P03", "25006")
"""SQLSTATEs, or their first characters: connection lost, starting, stopping, too many connections,
rolled back in favor of another transaction, locked, standby that is not promoted yet.
Source: PostgreSQL documentation, appendix A."""


async def create_engine(url: URL, _must_exist: bool) -> AsyncEngine:  # noqa: FBT001  Backend's
    """Return an engine for `url`; the first transaction connects to the server."""
    options: dict[str, Any] = dict(url.query)
    if "sslmode" in options:  # the usual name in PostgreSQL URLs; the driver calls it ssl
        options["ssl"] = options.pop("sslmode")
    return create_async_engine(url.set(query=options), connect_args={"timeout": CONNECT_SECONDS})


@asynccontextmanager
async def _lock_creation(connection: AsyncConnection) -> AsyncIterator[None]:
    """Wait until no other process creates tables; the lock ends with the transaction."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": CREATING})
    yield


BACKEND: Final = Backend(
    driver="asyncpg",
    options=frozenset({"host", "ssl", "sslmode", "prepared_statement_cache_size"}),
    create_engine=create_engine,
    reading={"isolation_level": "REPEATABLE READ"},
    writing={"isolation_level": "READ COMMITTED"},
    lock_creation=_lock_creation,
    errors=(OSError, asyncpg.PostgresError, asyncpg.InterfaceError),
    is_transient=lambda error: (
        isinstance(error, OSError) or (getattr(error, "sqlstate", None) or "").startswith(TRANSIENT)
    ),
    message_of=str,
    advice={
        "authentication failed|^role .* does not exist": "are user and password right?",
        "^database .* does not exist": "create it, or name another one",
        "^relation .* does not exist": "has a projection ever written to it?",
        "^permission denied for schema": "grant this user the right to create tables there",
        "^permission denied": "grant this user the right to do that",
        "^column .* does not exist": "the table is not this program's: name another database",
        "No space left": "make room; nothing of the last transaction was written",
        "Connect call failed": "is it running, and is the address right?",
        "Name or service not known": "is the address right?",
    },
)
