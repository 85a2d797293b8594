"""A projection of catalog `us` under test: run in this process, and looked at from outside."""

# ruff: noqa: S608  statements of the tests' own

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final, NamedTuple

import asyncmy.errors
import asyncpg
import pytest

from consumers.contract.model import format_position
from consumers.following.catalog_client import CatalogClient, connect
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from consumers.sql.database import open_database
from consumers.sql.projection import VerifiableProjection
from plumbing.redis.server import Server
from tests.consumers.mirrors import QUICK
from tests.consumers.pretend_publisher import PretendPublisher, Row, Tree
from tests.support.databases import execute, fetch
from tests.support.waiting import eventually

CATALOG: Final = "us"
NOT_YET: Final = (
    OSError,
    sqlite3.OperationalError,
    asyncpg.PostgresError,
    asyncmy.errors.Error,
)
"""What a look from outside raises where there is no table yet, or no server."""


class Seen(NamedTuple):
    """What a database holds at one moment: the checkpoint's position, and the current rows."""

    position: str
    tree: Tree


class Subject:
    """Names a projection, where its current rows stand, and what runs it. Tests derive from it."""

    projection: ClassVar[type[VerifiableProjection]]
    table: ClassVar[str]
    current: ClassVar[str] = "TRUE"
    """Which rows of `table` are current."""
    command: ClassVar[str]
    """How `category-consumer` keeps it."""

    @pytest.fixture
    async def kept(self, real_server: Server, database_url: str) -> AsyncIterator["Kept"]:
        """Give the projection in an empty database; what else holds of it is checked at the end."""
        yield Kept(self, real_server, database_url)
        await self.check(database_url)

    async def check(self, url: str) -> None:
        """Assert what else has to hold of the tables in the database of `url`."""

    async def check_events(self, url: str, events: Sequence[dict[str, Any]]) -> None:
        """Assert that each of `events`, all there were, had its effect once, after one reset."""


class Kept:
    """`subject` in the database of `url`, following `catalog` on `server`."""

    def __init__(self, subject: Subject, server: Server, url: str, catalog: str = CATALOG) -> None:
        self.projection = subject.projection
        self.url = url
        self.outside = url.partition("?")[0]
        self.table = subject.table
        self.current = subject.current
        self._server = server
        self._catalog = catalog

    @asynccontextmanager
    async def opened(
        self, kind: type[VerifiableProjection] | None = None
    ) -> AsyncIterator[VerifiableProjection]:
        """Open the projection, or a `kind` of it, as it would be at a new start."""
        async with open_database(self.url) as store:
            yield (kind or self.projection)(store, self._catalog)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Have the projection follow the catalog; what ends it is raised."""
        async with self.running() as task:
            try:
                yield
            finally:
                if task.done():
                    task.result()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Give the task that lets the projection follow the catalog, until it ends."""
        async with (
            self.opened() as projection,
            connect(self._server, self._catalog, once=False, timing=QUICK) as events,
        ):
            reader = Reader(events, projection.kind)
            task = asyncio.create_task(run_projection(projection, reader))
            try:
                yield task
            finally:
                task.cancel()
                await asyncio.wait([task])

    async def catch_up(self) -> None:
        """Do what `--once` does."""
        async with self.opened() as projection, self.opened_stream() as events:
            reader = Reader(events, projection.kind, once=True)
            await run_projection(projection, reader)

    def opened_stream(self) -> contextlib.AbstractAsyncContextManager[CatalogClient]:
        """Open the catalog's stream for who does not wait."""
        return connect(self._server, self._catalog, once=True)

    async def seen(self) -> Seen | None:
        """Return what the tables hold, by one statement and without code of ours; None if none."""
        query = (
            "SELECT c.epoch, c.sequence, c.digest, r.id, r.parent_id, r.local_name, r.is_leaf"
            f" FROM checkpoints c LEFT JOIN {self.table} r ON r.catalog = c.catalog"
            f" AND {self.current}"
            f" WHERE c.projection = '{self.projection.kind}' AND c.catalog = '{self._catalog}'"
        )
        try:
            rows = await fetch(self.outside, query)
        except NOT_YET:
            return None
        if not rows:
            return None
        found = (_row(*each[3:]) for each in rows if each[3] is not None)
        tree = {one["id"]: one for one in found}
        assert len(tree) == sum(each[3] is not None for each in rows), "an id has two current rows"
        return Seen(format_position(*rows[0][:3]), tree)

    async def tamper(self, id_: str) -> None:
        """Change the name in the current row of `id_` behind everybody's back."""
        await execute(
            self.outside,
            f"UPDATE {self.table} SET local_name = 'mine' WHERE id = '{id_}' AND {self.current}",
        )

    async def equal(self, publisher: PretendPublisher) -> None:
        """Wait until it has what `publisher` committed, and read the same with its own methods."""
        await self.arrived(publisher)
        async with self.opened() as projection:
            checkpoint, rows = await projection.read()
        assert checkpoint is not None
        assert checkpoint.position == publisher.position
        assert {id_: one._asdict() for id_, one in rows.items()} == publisher.tree

    async def arrived(self, publisher: PretendPublisher) -> None:
        """Wait until position and rows, seen from outside, are those that `publisher` committed."""
        wanted = Seen(publisher.position, publisher.tree)

        async def look() -> bool:
            return await self.seen() == wanted

        try:
            await eventually(look)
        except TimeoutError:
            assert await self.seen() == wanted


def _row(id_: str, parent_id: str, local_name: str, is_leaf: Any) -> Row:
    return {
        "id": id_,
        "parent_id": parent_id,
        "local_name": local_name,
        "is_leaf": bool(is_leaf),
    }
