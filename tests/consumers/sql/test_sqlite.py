"""Mirrors in SQLite: locks, cancellation, a full disk, and foreign files."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy.event

from consumers.contract.model import Snapshot
from consumers.errors import StoreError
from consumers.sql.database import Database, open_database
from consumers.sql.mirror import Mirror
from plumbing.redis.server import Server
from tests.consumers.event_histories import BEGIN
from tests.consumers.mirrors import (
    open_mirror,
    running_mirror,
    stored_position,
    stored_rows,
    wait_until_equal,
)
from tests.consumers.pretend_publisher import TIME, PretendPublisher, numbered, row, tree
from tests.consumers.sql.snapshots import checkpoint_of, snapshot
from tests.support.messages import whole

NOTHING = Snapshot({}, TIME)

HOME, GARDEN = row("1", "Home"), row("2", "Garden", "1")


@contextmanager
def limited(opened: Database, pragma: str) -> Iterator[None]:
    """Run `pragma` on every new connection of `opened`."""

    def connected(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(pragma)
        cursor.close()

    engine = opened._writer.sync_engine
    sqlalchemy.event.listen(engine, "connect", connected)
    yield
    sqlalchemy.event.remove(engine, "connect", connected)


@pytest.mark.contract("5.8")
async def test_a_full_disk(to: str) -> None:
    """A transaction that does not fit is not written; the error shows no statement."""
    state = snapshot(HOME)
    async with open_mirror(to) as mirror:
        await mirror.load()
        await mirror.reset(state, checkpoint_of(state))
    many = snapshot(*numbered(5000).values())
    async with open_database(to) as opened:
        with limited(opened, "PRAGMA max_page_count = 40"):
            mirror = Mirror(opened, "us")
            await mirror.load()
            with pytest.raises(StoreError) as caught:
                await mirror.reset(many, checkpoint_of(many))
    assert str(caught.value) == (
        f"{to}: database or disk is full (make room; nothing of the last transaction was written)"
    )
    assert stored_rows(to) == tree(HOME)
    async with open_mirror(to) as mirror:
        assert await mirror.load() == checkpoint_of(state)
        await mirror.reset(many, checkpoint_of(many))
    assert len(stored_rows(to)) == 5000


async def test_a_locked_file(to: str) -> None:
    """A file that another program keeps locked is an error; nothing is written."""
    state = snapshot(HOME)
    async with open_mirror(f"{to}?timeout=0.1") as mirror:
        await mirror.load()
        await mirror.reset(state, checkpoint_of(state))
        with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(
                StoreError,
                match=whole(
                    "<any>/copy.sqlite: database is locked (another program writes to it: stop it, "
                    "or wait)"
                ),
            ):
                await mirror.reset(NOTHING, BEGIN)
        await mirror.reset(NOTHING, BEGIN)
    assert stored_rows(to) == {}


async def test_a_lock_that_is_released(to: str) -> None:
    """A mirror waits for another writer until the timeout."""
    async with open_mirror(to) as mirror:
        await mirror.load()
        with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as other:
            other.execute("BEGIN EXCLUSIVE")
            writing = asyncio.create_task(mirror.reset(NOTHING, BEGIN))
            done, _ = await asyncio.wait([writing], timeout=0.1)
            assert not done
            other.execute("ROLLBACK")
        await writing
    assert stored_position(to) == "9f3c1a2b-0-0000000000000000"


async def test_a_reader_does_not_stop_a_mirror(to: str) -> None:
    """A reader sees the copy at one moment while the mirror writes."""
    state = snapshot(HOME)
    async with open_mirror(f"{to}?timeout=0.1") as mirror:
        await mirror.load()
        await mirror.reset(state, checkpoint_of(state))
        with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as other:
            other.execute("BEGIN")
            assert other.execute("SELECT count(*) FROM categories").fetchone() == (1,)
            await mirror.reset(NOTHING, BEGIN)
            assert other.execute("SELECT count(*) FROM categories").fetchone() == (1,)
    assert stored_rows(to) == {}


async def test_a_file_that_is_no_database(folder: Path) -> None:
    """The file is not changed."""
    diary = "Dear diary, " * 200
    (folder / "diary.txt").write_text(diary)
    with pytest.raises(
        StoreError, match=whole("<any>/diary.txt: file is not a database (name another file)")
    ):
        async with open_mirror(f"sqlite:///{folder / 'diary.txt'}"):
            pass
    assert (folder / "diary.txt").read_text() == diary


@pytest.mark.contract("5.8")
@pytest.mark.parametrize("moment", range(6))
async def test_cancelled_in_the_middle(to: str, moment: int) -> None:
    """A cancelled batch is written completely or not at all, and leaks no connection."""
    old, new = snapshot(HOME), snapshot(*numbered(20_000).values())
    async with open_mirror(to) as mirror:
        await mirror.load()
        await mirror.reset(old, checkpoint_of(old))
        writing = asyncio.create_task(mirror.reset(new, checkpoint_of(new)))
        await asyncio.wait([writing], timeout=moment * 0.03)
        writing.cancel()
        await asyncio.wait([writing])
    async with open_mirror(to) as mirror:
        checkpoint, rows = await mirror.read()
        wanted = [(checkpoint_of(each), each.rows) for each in (old, new)]
        assert (checkpoint, rows) in wanted
        assert await mirror.load() == checkpoint


async def test_many_mirrors_start_at_once(server: Server, to: str) -> None:
    """Mirrors of several catalogs may create the same tables at the same moment."""
    async with server.client() as client, contextlib.AsyncExitStack() as stack:
        publishers = [PretendPublisher(client, f"catalog-{index}") for index in range(5)]
        for publisher in publishers:
            await publisher.commit(tree(HOME, GARDEN))
        for publisher in publishers:
            await stack.enter_async_context(running_mirror(server, to, publisher.catalog))
        for publisher in publishers:
            await wait_until_equal(to, publisher)
