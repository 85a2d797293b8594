"""The floors of consuming: loops with the same writes and no check at all.

They read Redis with redis-py's synchronous client and hiredis, and parse with orjson. SQLite is
written with Python's own synchronous driver, PostgreSQL and MariaDB with the asynchronous drivers
of the consumers. The entries of one read and the checkpoint are written in one transaction.
"""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

import asyncmy
import asyncpg
import orjson
import redis

from consumers.sql.sqlite import CACHE_KIB

CATALOG = "us"
REMOVED = "category.removed"
BATCH = 1000
"""Entries of one XREAD, and of one transaction."""

Values: TypeAlias = tuple[str, str, str, str, bool]
"""Catalog, id, parent_id, local_name, is_leaf."""


class BareConnection(Protocol):
    """A connection that writes to `categories` and `checkpoints`."""

    async def write(
        self, rows: Sequence[Values], removed: Sequence[str], checkpoint: Sequence[Any]
    ) -> None:
        """Write `rows`, delete `removed`, store `checkpoint`, in one transaction.

        `checkpoint` is epoch, sequence, stream_offset, digest.
        """


async def follow(server: redis.Redis, connection: BareConnection, offset: str) -> None:
    """Apply all events after `offset`."""
    while entries := _read(server, offset):
        last: dict[str, dict[str, Any]] = {}
        for _, fields in entries:
            event = orjson.loads(fields[b"event"])
            last[event["subject"]] = event
        rows = [_values(e["data"]["category"]) for e in last.values() if e["type"] != REMOVED]
        removed = [id_ for id_, event in last.items() if event["type"] == REMOVED]
        offset = entries[-1][0].decode()
        checkpoint = (event["epoch"], int(event["sequence"]), offset, event["data"]["digest"])
        await connection.write(rows, removed, checkpoint)


def _read(server: redis.Redis, offset: str) -> Any:
    reply: Any = server.xread({f"catalog:{{{CATALOG}}}:events": offset}, BATCH)
    return reply[0][1] if reply else []


async def reset(server: redis.Redis, connection: BareConnection) -> None:
    """Copy the whole state into empty tables."""
    hash_: Any = server.hgetall(f"catalog:{{{CATALOG}}}:categories")
    meta: Any = server.hgetall(f"catalog:{{{CATALOG}}}:meta")
    rows = [_values(orjson.loads(row)) for row in hash_.values()]
    epoch, sequence, offset, digest = (
        meta[field].decode() for field in (b"epoch", b"sequence", b"offset", b"digest")
    )
    await connection.write(rows, [], (epoch, int(sequence), offset, digest))


def _values(category: dict[str, Any]) -> Values:
    return (
        CATALOG,
        category["id"],
        category["parent_id"],
        category["local_name"],
        category["is_leaf"],
    )


@asynccontextmanager
async def open_bare(url: str) -> AsyncIterator[BareConnection]:
    """Connect to the database of `url`, whose tables exist."""
    kind = urlsplit(url).scheme
    connect: Any = {"sqlite": _sqlite, "postgresql": _postgres, "mysql": _mysql}[kind]
    async with connect(url) as connection:
        yield connection


NOW = "2026-11-23T09:40:03.569Z"
INSERT = "INSERT INTO categories (catalog, id, parent_id, local_name, is_leaf) VALUES "
STORE = (
    "INSERT INTO checkpoints"
    " (projection, catalog, epoch, sequence, stream_offset, digest, updated_at) VALUES "
)
ON_CONFLICT = (
    " ON CONFLICT (catalog, id) DO UPDATE SET parent_id = excluded.parent_id,"
    " local_name = excluded.local_name, is_leaf = excluded.is_leaf"
)
ON_CONFLICT_STORE = (
    " ON CONFLICT (projection, catalog) DO UPDATE SET epoch = excluded.epoch,"
    " sequence = excluded.sequence, stream_offset = excluded.stream_offset,"
    " digest = excluded.digest, updated_at = excluded.updated_at"
)
ON_DUPLICATE = (
    " ON DUPLICATE KEY UPDATE parent_id = VALUES(parent_id),"
    " local_name = VALUES(local_name), is_leaf = VALUES(is_leaf)"
)
ON_DUPLICATE_STORE = (
    " ON DUPLICATE KEY UPDATE epoch = VALUES(epoch), sequence = VALUES(sequence),"
    " stream_offset = VALUES(stream_offset), digest = VALUES(digest),"
    " updated_at = VALUES(updated_at)"
)
DELETE = f"DELETE FROM categories WHERE catalog = '{CATALOG}' AND id "  # noqa: S608  no input


@asynccontextmanager
async def _sqlite(url: str) -> AsyncIterator[BareConnection]:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")  # as our mirror has it
    try:
        yield _Sqlite(connection)
    finally:
        connection.close()


class _Sqlite:
    UPSERT = f"{INSERT}(?, ?, ?, ?, ?){ON_CONFLICT}"
    STORE = f"{STORE}(?, ?, ?, ?, ?, ?, ?){ON_CONFLICT_STORE}"
    DELETE = f"{DELETE}= ?"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def write(
        self, rows: Sequence[Values], removed: Sequence[str], checkpoint: Sequence[Any]
    ) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(self.STORE, ("mirror", CATALOG, *checkpoint, NOW))
        self._connection.executemany(self.DELETE, [(id_,) for id_ in removed])
        self._connection.executemany(self.UPSERT, rows)
        self._connection.execute("COMMIT")


@asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[BareConnection]:
    connection = await asyncpg.connect(url)
    try:
        yield _Postgres(connection)
    finally:
        await connection.close()


class _Postgres:
    UPSERT = f"{INSERT}($1, $2, $3, $4, $5){ON_CONFLICT}"
    STORE = f"{STORE}($1, $2, $3, $4, $5, $6, $7){ON_CONFLICT_STORE}"
    DELETE = f"{DELETE}= ANY($1)"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def write(
        self, rows: Sequence[Values], removed: Sequence[str], checkpoint: Sequence[Any]
    ) -> None:
        async with self._connection.transaction():
            await self._connection.execute(self.STORE, "mirror", CATALOG, *checkpoint, NOW)
            await self._connection.execute(self.DELETE, removed)
            await self._connection.executemany(self.UPSERT, rows)


@asynccontextmanager
async def _mysql(url: str) -> AsyncIterator[BareConnection]:
    parts = urlsplit(url)
    connection = await asyncmy.connect(
        host=parts.hostname,
        port=parts.port,
        user=parts.username,
        database=parts.path.removeprefix("/"),
        charset="utf8mb4",
    )
    try:
        yield _MySql(connection)
    finally:
        await connection.ensure_closed()


class _MySql:
    UPSERT = f"{INSERT}(%s, %s, %s, %s, %s){ON_DUPLICATE}"
    STORE = f"{STORE}(%s, %s, %s, %s, %s, %s, %s){ON_DUPLICATE_STORE}"
    DELETE = f"{DELETE}IN %s"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def write(
        self, rows: Sequence[Values], removed: Sequence[str], checkpoint: Sequence[Any]
    ) -> None:
        async with self._connection.cursor() as cursor:
            await cursor.execute(self.STORE, ("mirror", CATALOG, *checkpoint, NOW))
            if removed:
                await cursor.execute(self.DELETE, (tuple(removed),))
            await cursor.executemany(self.UPSERT, rows)
        await self._connection.commit()
