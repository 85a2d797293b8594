"""A mirror in SQLite (contract, 5.8 and 8): batches are atomic, and there is one writer."""

import asyncio
import contextlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy.event

from consumers.contract import digest
from consumers.contract.model import Category, Checkpoint, Snapshot
from consumers.errors import CheckpointConflict, StoreError
from consumers.following.catalog_client import connect
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from consumers.sql.database import Database, open_database
from consumers.sql.mirror import Mirror
from plumbing.redis.server import Server
from tests.consumers.event_histories import BEGIN, small_history
from tests.consumers.logged import logged
from tests.consumers.mirrors import (
    QUICK,
    execute,
    mirror_once,
    open_mirror,
    running_mirror,
    stored_position,
    stored_rows,
    wait_until_equal,
)
from tests.consumers.pretend_publisher import TIME, PretendPublisher, numbered, row, tree
from tests.support.waiting import eventually

NOTHING = Snapshot({}, TIME)
HOME, GARDEN, ROSES = row("1", "Home"), row("2", "Garden", "1"), row("3", "Roses", "2")


def snapshot(*rows: dict[str, Any]) -> Snapshot:
    """Return the snapshot of `rows`."""
    return Snapshot({one["id"]: Category(**one) for one in rows}, TIME)


def checkpoint_of(state: Snapshot, sequence: int = 7) -> Checkpoint:
    """Return a checkpoint with the digest of `state`."""
    return Checkpoint("9f3c1a2b", sequence, f"{sequence}-0", digest.of_state(state.rows.values()))


@pytest.mark.contract("5.8")
async def test_several_events_of_one_category(to: str) -> None:
    """Of several events of one category in a batch, the last one counts."""
    events = small_history()
    async with open_mirror(to) as mirror:
        assert await mirror.load() is None
        await mirror.reset(NOTHING, BEGIN)
        await mirror.apply(events[:3], events[2].checkpoint)
        assert stored_rows(to) == tree(row("2", "Other"), row("1", "Home & Garden"))
        await mirror.apply(events[3:], events[3].checkpoint)
        assert stored_rows(to) == tree(row("2", "Other"))
        assert (await mirror.read())[0] == events[3].checkpoint


async def test_names_of_every_kind(to: str) -> None:
    """Blanks, line ends, quotes and all scripts are stored unchanged."""
    names = [
        " a ",
        "\xa0\n\t",
        "'; DROP TABLE categories; --",
        "家居",
        "🏡👨‍👩‍👧",
        "\u202eabc",
        "\x1b[31m",
    ]
    state = snapshot(*(row(str(index), name) for index, name in enumerate(names, start=1)))
    async with open_mirror(to) as mirror:
        await mirror.load()
        await mirror.reset(state, checkpoint_of(state))
        assert (await mirror.read())[1] == state.rows
        assert await mirror.rows(["2", "4", "99"]) == {id_: state.rows[id_] for id_ in ("2", "4")}
    assert stored_rows(to) == {id_: category._asdict() for id_, category in state.rows.items()}


@pytest.mark.contract("8")
async def test_paths(to: str) -> None:
    """The view shows each category's depth from 1 and its names from the root."""
    async with open_mirror(to) as mirror:
        await mirror.load()
        state = snapshot(ROSES, HOME, GARDEN, row("9", "Toys"))
        await mirror.reset(state, checkpoint_of(state))
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        rows = file.execute("SELECT id, depth, path FROM category_paths WHERE catalog = 'us'")
        assert sorted(rows) == [
            ("1", 1, "Home"),
            ("2", 2, "Home > Garden"),
            ("3", 3, "Home > Garden > Roses"),
            ("9", 1, "Toys"),
        ]


async def test_paths_of_a_large_tree_are_quick(to: str) -> None:
    """The view uses an index and does not scan the table for each category."""
    state = snapshot(*(row(str(id_), "Name", str(id_ // 7)) for id_ in range(1, 20_001)))
    async with open_mirror(to) as mirror:
        await mirror.load()
        await mirror.reset(state, checkpoint_of(state))
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        file.set_progress_handler(lambda: 1, 50_000_000)  # a scan for each takes far more steps
        assert file.execute("SELECT count(*) FROM category_paths").fetchone() == (20_000,)


@pytest.mark.contract("8")
async def test_the_time_of_the_checkpoint(to: str) -> None:
    """RFC 3339, UTC, with milliseconds."""
    async with open_mirror(to) as mirror:
        await mirror.load()
        await mirror.reset(NOTHING, BEGIN)
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        projection, updated_at = file.execute(
            "SELECT projection, updated_at FROM checkpoints"
        ).fetchone()
    assert projection == "mirror"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", updated_at)


@pytest.mark.contract("5.8")
@pytest.mark.parametrize("field", ["epoch", "sequence", "stream_offset", "digest"])
async def test_a_changed_checkpoint(to: str, field: str) -> None:
    """If any field is not that which the mirror started from, nothing is written."""
    events = small_history()
    async with open_mirror(to) as mirror:
        await mirror.load()
        await mirror.reset(NOTHING, BEGIN)
        execute(to, f"UPDATE checkpoints SET {field} = '12345678'")  # noqa: S608  of the test's
        with pytest.raises(
            CheckpointConflict, match="another consumer writes to this store's mirror"
        ):
            await mirror.apply(events, events[-1].checkpoint)
        with pytest.raises(CheckpointConflict):
            await mirror.reset(snapshot(HOME), BEGIN)
    assert stored_rows(to) == {}


@pytest.mark.contract("5.8")
async def test_two_first_checkpoints(to: str) -> None:
    """If two mirrors both found an empty database, the second one ends."""
    async with open_mirror(to) as first, open_mirror(to) as second:
        assert await first.load() is None
        assert await second.load() is None
        state = snapshot(HOME)
        await first.reset(state, checkpoint_of(state))
        with pytest.raises(CheckpointConflict, match="stop one of the two"):
            await second.reset(snapshot(GARDEN), BEGIN)
    assert stored_rows(to) == tree(HOME)


@pytest.mark.contract("5.8")
async def test_two_mirrors_on_one_file(
    server: Server, publisher: PretendPublisher, to: str, logs: list[Any]
) -> None:
    """One of the two ends with an error as soon as something is published; the copy is correct."""
    await publisher.commit(tree(HOME))
    await mirror_once(server, to)
    logs.clear()
    async with contextlib.AsyncExitStack() as stack:
        tasks = []
        for _ in range(2):
            mirror = await stack.enter_async_context(open_mirror(to))
            events = await stack.enter_async_context(
                connect(server, "us", once=False, timing=QUICK)
            )
            tasks.append(asyncio.create_task(run_projection(mirror, Reader(events, "mirror"))))
        await eventually(logged(logs, "started", times=2))
        await publisher.commit(numbered(3))
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=20)
        assert [type(task.exception()) for task in done] == [CheckpointConflict]
        await wait_until_equal(to, publisher)
        await publisher.commit(numbered(5))
        await wait_until_equal(to, publisher)
        for task in pending:
            task.cancel()
        await asyncio.wait(pending)


@pytest.mark.contract("5.8")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE categories SET local_name = 'mine' WHERE id = '2'",
        "DELETE FROM categories",
        "DROP TABLE categories",
        "DELETE FROM checkpoints",
        "UPDATE checkpoints SET digest = 'nonsense'",
        "INSERT INTO categories VALUES ('us', '77', '0', 'mine', 1)",
    ],
)
async def test_a_copy_that_was_changed(
    server: Server, publisher: PretendPublisher, to: str, statement: str
) -> None:
    """A copy that something else changed is rebuilt when a mirror starts."""
    await publisher.commit(tree(HOME, GARDEN))
    await mirror_once(server, to)
    if statement.startswith("DROP"):
        execute(to, "DROP VIEW category_breadcrumbs")
        execute(to, "DROP VIEW category_paths")
    execute(to, statement)
    await mirror_once(server, to)
    await wait_until_equal(to, publisher)


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
    """A transaction that does not fit is not written at all; the error has no statement in it."""
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
    """If another program keeps the file locked, that is an error, and nothing is written."""
    state = snapshot(HOME)
    async with open_mirror(f"{to}?timeout=0.1") as mirror:
        await mirror.load()
        await mirror.reset(state, checkpoint_of(state))
        with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreError, match=r"copy\.sqlite: database is locked \(another"):
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
    with pytest.raises(StoreError, match=r"not a database \(name another file\)"):
        async with open_mirror(f"sqlite:///{folder / 'diary.txt'}"):
            pass
    assert (folder / "diary.txt").read_text() == diary


async def test_tables_of_another_program(to: str) -> None:
    """If a table of that name has other columns, nothing is created."""
    execute(to, "CREATE TABLE categories (id INTEGER, title TEXT)")
    async with open_mirror(to) as mirror:
        with pytest.raises(StoreError, match="a table categories, and it is not this program's"):
            await mirror.load()
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        assert file.execute("SELECT name FROM sqlite_master").fetchall() == [("categories",)]


async def test_a_missing_index(to: str) -> None:
    """It is created when a mirror starts: a kill may have come between table and index."""
    async with open_mirror(to) as mirror:
        await mirror.load()
        execute(to, "DROP INDEX categories_by_name")
        await mirror.load()
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        indexes = file.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
    assert {("categories_by_name",), ("categories_by_parent",)} <= set(indexes)


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
