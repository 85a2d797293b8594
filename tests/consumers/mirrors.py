"""Mirrors in this process, and a look at their copies that is not ours."""

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


async def copy_once(server: Server, to: str, catalog: str = "us") -> None:
    """Do what `mirror --once` does."""
    async with (
        opened_mirror(to, catalog) as mirror,
        connect(server, catalog, once=True) as events,
    ):
        await run_projection(mirror, Reader(events, "mirror", once=True))


async def build(server: Server, to: str, kind: str = "mirror") -> None:
    """Do what the consumer of the projection `kind` does with `--once`."""
    async with (
        open_database(to) as opened,
        connect(server, "us", once=True) as events,
    ):
        await run_projection(KINDS[kind](opened, "us"), Reader(events, kind, once=True))


@asynccontextmanager
async def opened_mirror(to: str, catalog: str = "us") -> AsyncIterator[Mirror]:
    """Open the copy of `catalog` in database `to`."""
    async with open_database(to) as opened:
        yield Mirror(opened, catalog)


@asynccontextmanager
async def copying(
    server: Server, to: str, catalog: str = "us"
) -> AsyncIterator[asyncio.Task[None]]:
    """Have a mirror running, and give its task."""
    async with (
        opened_mirror(to, catalog) as mirror,
        connect(server, catalog, once=False, timing=QUICK) as events,
    ):
        task = asyncio.create_task(run_projection(mirror, Reader(events, "mirror")))
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def copied(to: str, catalog: str = "us") -> Tree:
    """Return the rows in the SQLite file; none if there is no table yet."""
    query = "SELECT id, parent_id, local_name, is_leaf FROM categories WHERE catalog = ?"
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        try:
            rows = file.execute(query, [catalog]).fetchall()
        except sqlite3.OperationalError:
            return {}
    names = ("id", "parent_id", "local_name", "is_leaf")
    return {row[0]: dict(zip(names, (*row[:3], bool(row[3])), strict=True)) for row in rows}


def position(to: str, catalog: str = "us") -> str | None:
    """Return where in history the checkpoint in the SQLite file is."""
    query = "SELECT epoch, sequence, digest FROM checkpoints WHERE catalog = ?"
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        try:
            row = file.execute(query, [catalog]).fetchone()
        except sqlite3.OperationalError:
            return None
    return "-".join(map(str, row)) if row else None


def execute(to: str, statement: str) -> None:
    """Change the SQLite file behind everybody's back."""
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file, file:
        file.execute(statement)


async def equal(to: str, publisher: PretendPublisher) -> None:
    """Wait until copy and checkpoint are those of the state that `publisher` committed."""

    async def look() -> bool:
        return (
            position(to, publisher.catalog) == publisher.position
            and copied(to, publisher.catalog) == publisher.tree
        )

    await eventually(look)
