"""What PostgreSQL needs: transactions that see one moment, and which of its refusals may pass."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from consumers.sql.backend import Backend

CONNECT_SECONDS: Final = 10
CREATING: Final = 0x6361_7465_676F_7279
"""The advisory lock of who creates our tables: `category` in ASCII."""
PASSING: Final = ("08", "57P01", "57P02", "57P03", "53300", "40", "55P03", "25006")
"""SQLSTATEs, or their beginnings: connection lost, starting, stopping, too many connections,
rolled back for another's sake, locked, and a standby that has not been promoted yet. Source:
PostgreSQL documentation, appendix A."""


async def _engine_of(url: URL, _must_exist: bool) -> AsyncEngine:  # noqa: FBT001  Backend's
    options: dict[str, Any] = dict(url.query)
    if "sslmode" in options:  # as in every other PostgreSQL URL; the driver calls it ssl
        options["ssl"] = options.pop("sslmode")
    return create_async_engine(url.set(query=options), connect_args={"timeout": CONNECT_SECONDS})


@asynccontextmanager
async def _creating(connection: AsyncConnection) -> AsyncIterator[None]:
    """Wait for whoever creates tables now, until the transaction ends."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": CREATING})
    yield


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, OSError) or (getattr(error, "sqlstate", None) or "").startswith(
        PASSING
    )


BACKEND: Final = Backend(
    driver="asyncpg",
    options=frozenset({"host", "ssl", "sslmode", "prepared_statement_cache_size"}),
    engine_of=_engine_of,
    reading={"isolation_level": "REPEATABLE READ"},
    writing={"isolation_level": "READ COMMITTED"},
    creating=_creating,
    errors=(OSError, asyncpg.PostgresError, asyncpg.InterfaceError),
    may_pass=_may_pass,
    text_of=str,
    advice={
        "authentication failed": "are user and password right?",
        "^role .* does not exist": "are user and password right?",
        "^database .* does not exist": "create it, or name another one",
        "^relation .* does not exist": "has a projection ever written to it?",
        "^permission denied for schema": "grant this user the right to create tables there",
        "^permission denied": "grant this user the right to do that",
        "^column .* does not exist": "the table is not this program's: name another database",
        "No space left": "make room; nothing of the last transaction was written",
        "Connect call failed": "does it run, and is the address right?",
        "Name or service not known": "is the address right?",
    },
)
