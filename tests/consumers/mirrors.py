"""Runs mirrors in this process, and reads their SQLite files independently."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from consumers.following.catalog_client import Timing, connect
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from consumers.projection_kinds import KINDS
from consumers.sql.database import open_database
from consumers.sql.mirror import Mirror
from plumbing.redis.server import Server
from tests.consumers.pretend_publisher import PretendPublisher, Tree
from tests.support.waiting import eventually

QUICK = Timing(block=0.02, reply=0.5, check_meta=0.01, check_rows=0.05)


async def mirror_once(server: Server, to: str, catalog: str = "us") -> None:
    """Run a mirror as `mirror --once` does."""
    async with (
        open_mirror(to, catalog) as mirror,
        connect(server, catalog, once=True) as events,
    ):
        await run_projection(mirror, Reader(events, "mirror", once=True))


async def run_once(server: Server, to: str, kind: str = "mirror") -> None:
    """Run a projection of `kind` as its command does with `--once`."""
    async with (
        open_database(to) as opened,
        connect(server, "us", once=True) as events,
    ):
        await run_projection(KINDS[kind](opened, "us"), Reader(events, kind, once=True))


@asynccontextmanager
async def open_mirror(to: str, catalog: str = "us") -> AsyncIterator[Mirror]:
    """Open the copy of `catalog` in database `to`."""
    async with open_database(to) as opened:
        yield Mirror(opened, catalog)


@asynccontextmanager
async def running_mirror(
    server: Server, to: str, catalog: str = "us"
) -> AsyncIterator[asyncio.Task[None]]:
    """Run a mirror in the background, and yield its task."""
    async with (
        open_mirror(to, catalog) as mirror,
        connect(server, catalog, once=False, timing=QUICK) as events,
    ):
        task = asyncio.create_task(run_projection(mirror, Reader(events, "mirror")))
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def stored_rows(to: str, catalog: str = "us") -> Tree:
    """Return the rows in the SQLite file; none if there is no table yet."""
    query = "SELECT id, parent_id, local_name, is_leaf FROM categories WHERE catalog = ?"
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        try:
            rows = file.execute(query, [catalog]).fetchall()
        except sqlite3.OperationalError:
            return {}
    names = ("id", "parent_id", "local_name", "is_leaf")
    return {row[0]: dict(zip(names, (*row[:3], bool(row[3])), strict=True)) for row in rows}


def stored_position(to: str, catalog: str = "us") -> str | None:
    """Return the position of the SQLite file's checkpoint; None if there is none yet."""
    query = "SELECT epoch, sequence, digest FROM checkpoints WHERE catalog = ?"
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        try:
            row = file.execute(query, [catalog]).fetchone()
        except sqlite3.OperationalError:
            return None
    return "-".join(map(str, row)) if row else None


def execute(to: str, statement: str) -> None:
    """Change the SQLite file, as another program might."""
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file, file:
        file.execute(statement)


def tables_in(to: str) -> list[str]:
    """Return the names of all tables and views in the SQLite file."""
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        found = file.execute("SELECT name FROM sqlite_master WHERE type != 'index' ORDER BY name")
        return [name for (name,) in found]


async def wait_until_equal(to: str, publisher: PretendPublisher) -> None:
    """Wait until rows and checkpoint are those that `publisher` committed."""

    async def is_equal() -> bool:
        return (
            stored_position(to, publisher.catalog) == publisher.position
            and stored_rows(to, publisher.catalog) == publisher.tree
        )

    await eventually(is_equal)
