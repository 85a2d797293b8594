"""A projection under test: run in this process, read without its own code."""

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
"""Errors of reading a database that has no table yet, or is unavailable."""


class StoredCopy(NamedTuple):
    """The checkpoint's position and the current rows of a database at one moment."""

    position: str
    tree: Tree


class ProjectionTests:
    """Names a projection, its table and its command. Test classes derive from it."""

    projection: ClassVar[type[VerifiableProjection]]
    table: ClassVar[str]
    current: ClassVar[str] = "TRUE"
    """The condition for the current rows of `table`."""
    command: ClassVar[str]
    """The command of `category-consumer` that runs it."""

    @pytest.fixture
    async def subject(
        self, real_server: Server, database_url: str
    ) -> AsyncIterator["ProjectionUnderTest"]:
        """Yield the projection in an empty database; `check` runs at the end."""
        yield ProjectionUnderTest(self, real_server, database_url)
        await self.check(database_url)

    async def check(self, url: str) -> None:
        """Assert what must hold of the tables of this projection in the database of `url`."""

    async def check_events(self, url: str, events: Sequence[dict[str, Any]]) -> None:
        """Assert that each of `events` (all of them) had its effect once, after one reset."""


class ProjectionUnderTest:
    """The projection of `subject` in a database, following `catalog` on `server`."""

    def __init__(
        self, subject: ProjectionTests, server: Server, url: str, catalog: str = CATALOG
    ) -> None:
        self.projection = subject.projection
        self.url = url
        self.plain_url = url.partition("?")[0]
        self.table = subject.table
        self.current = subject.current
        self._server = server
        self._catalog = catalog

    @asynccontextmanager
    async def open(
        self, kind: type[VerifiableProjection] | None = None
    ) -> AsyncIterator[VerifiableProjection]:
        """Open the projection, or one of class `kind`, as at a new start."""
        async with open_database(self.url) as store:
            yield (kind or self.projection)(store, self._catalog)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Run the projection in the background. Raises the error that ends it."""
        async with self.running() as task:
            try:
                yield
            finally:
                if task.done():
                    task.result()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run the projection in the background, and yield its task."""
        async with (
            self.open() as projection,
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
        """Run the projection as `--once` does."""
        async with self.open() as projection, self.connect() as events:
            reader = Reader(events, projection.kind, once=True)
            await run_projection(projection, reader)

    def connect(self) -> contextlib.AbstractAsyncContextManager[CatalogClient]:
        """Open a client of the catalog that does not wait."""
        return connect(self._server, self._catalog, once=True)

    async def read(self) -> StoredCopy | None:
        """Return the tables' content, read by a statement of the test; None if nothing."""
        query = (
            "SELECT c.epoch, c.sequence, c.digest, r.id, r.parent_id, r.local_name, r.is_leaf"
            f" FROM checkpoints c LEFT JOIN {self.table} r ON r.catalog = c.catalog"
            f" AND {self.current}"
            f" WHERE c.projection = '{self.projection.kind}' AND c.catalog = '{self._catalog}'"
        )
        try:
            rows = await fetch(self.plain_url, query)
        except NOT_YET:
            return None
        if not rows:
            return None
        found = (_as_row(*each[3:]) for each in rows if each[3] is not None)
        tree = {one["id"]: one for one in found}
        assert len(tree) == sum(each[3] is not None for each in rows), "an id has two current rows"
        return StoredCopy(format_position(*rows[0][:3]), tree)

    async def tamper(self, id_: str) -> None:
        """Change the name in the current row of `id_`, as another program might."""
        await execute(
            self.plain_url,
            f"UPDATE {self.table} SET local_name = 'mine' WHERE id = '{id_}' AND {self.current}",
        )

    async def assert_equal(self, publisher: PretendPublisher) -> None:
        """Wait until the copy equals the state; assert that its own methods agree."""
        await self.wait_until_equal(publisher)
        async with self.open() as projection:
            checkpoint, rows = await projection.read()
        assert checkpoint is not None
        assert checkpoint.position == publisher.position
        assert {id_: one._asdict() for id_, one in rows.items()} == publisher.tree

    async def wait_until_equal(self, publisher: PretendPublisher) -> None:
        """Wait until the database has the position and rows that `publisher` committed."""
        wanted = StoredCopy(publisher.position, publisher.tree)

        async def is_equal() -> bool:
            return await self.read() == wanted

        try:
            await eventually(is_equal)
        except TimeoutError:
            assert await self.read() == wanted


def _as_row(id_: str, parent_id: str, local_name: str, is_leaf: Any) -> Row:
    return {
        "id": id_,
        "parent_id": parent_id,
        "local_name": local_name,
        "is_leaf": bool(is_leaf),
    }
