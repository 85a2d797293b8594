"""The checkpoint of a SQL projection: optimistic locking (contract, 5.8)."""

import asyncio
import contextlib
import re
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from consumers.contract.model import Snapshot
from consumers.errors import CheckpointConflict
from consumers.following.catalog_client import connect
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from plumbing.redis.server import Server
from tests.consumers.event_histories import BEGIN, small_history
from tests.consumers.logged import logged
from tests.consumers.mirrors import (
    QUICK,
    execute,
    mirror_once,
    open_mirror,
    stored_rows,
    wait_until_equal,
)
from tests.consumers.pretend_publisher import TIME, PretendPublisher, numbered, row, tree
from tests.consumers.sql.snapshots import checkpoint_of, snapshot
from tests.support.messages import whole
from tests.support.waiting import PATIENCE, eventually

NOTHING = Snapshot({}, TIME)

HOME, GARDEN = row("1", "Home"), row("2", "Garden", "1")


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
            CheckpointConflict,
            match=whole(
                "<any>/copy.sqlite: another consumer writes to this database's mirror of "
                "catalog us: stop one of the two"
            ),
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
        with pytest.raises(
            CheckpointConflict,
            match=whole(
                "<any>/copy.sqlite: another consumer writes to this database's mirror of "
                "catalog us: stop one of the two"
            ),
        ):
            await second.reset(snapshot(GARDEN), BEGIN)
    assert stored_rows(to) == tree(HOME)


@pytest.mark.contract("5.8")
async def test_two_mirrors_on_one_file(
    server: Server, publisher: PretendPublisher, to: str, logs: list[Any]
) -> None:
    """One of the two ends with an error at the next event; the copy is correct."""
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
        done, pending = await asyncio.wait(
            tasks, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE
        )
        assert [type(task.exception()) for task in done] == [CheckpointConflict]
        await wait_until_equal(to, publisher)
        await publisher.commit(numbered(5))
        await wait_until_equal(to, publisher)
        for task in pending:
            task.cancel()
        await asyncio.wait(pending)
