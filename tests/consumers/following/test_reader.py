"""Whatever happens to the stream, a mirror equals the state or keeps its data.

All tests run on fakeredis and on a real server.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

import pytest
import structlog

from consumers.contract.event import Entry
from consumers.contract.model import Category, Checkpoint, Event, Rows, Snapshot
from consumers.contract.snapshot import Meta
from consumers.errors import NoState
from consumers.following.catalog_client import CatalogClient, connect
from consumers.following.projection import Projection
from consumers.following.reader import Apply, Reader, Reset, RowsOf, Step
from consumers.following.runner import run_projection
from plumbing.redis.server import Server
from tests.consumers.logged import logged
from tests.consumers.mirrors import (
    QUICK,
    execute,
    mirror_once,
    running_mirror,
    stored_position,
    stored_rows,
    wait_until_equal,
)
from tests.consumers.pretend_publisher import PretendPublisher, numbered, row, tree
from tests.consumers.stream_faults import STREAM_FAULTS, StreamFault
from tests.support.small_reads import BATCH
from tests.support.waiting import eventually

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")


async def test_it_follows(server: Server, publisher: PretendPublisher, to: str) -> None:
    """All kinds of changes are applied, batch after batch, with the checkpoint."""
    await publisher.commit(tree(HOME))
    async with running_mirror(server, to):
        await wait_until_equal(to, publisher)
        await publisher.commit(tree(HOME, GARDEN, TOYS))
        await wait_until_equal(to, publisher)
        await publisher.commit(tree(GARDEN | {"parent_id": "0"}, HOME | {"parent_id": "2"}))
        await wait_until_equal(to, publisher)
        await publisher.commit(numbered(BATCH + 500))
        await wait_until_equal(to, publisher)


@pytest.mark.contract("5.8")
async def test_it_continues_from_its_checkpoint(
    server: Server, publisher: PretendPublisher, to: str, logs: list[Any]
) -> None:
    """Events published while no mirror ran are applied later, without a resync."""
    await publisher.commit(tree(HOME))
    await mirror_once(server, to)
    await publisher.commit(tree(HOME, GARDEN))
    await publisher.commit(tree(HOME, TOYS))
    logs.clear()
    await mirror_once(server, to)
    assert [log["event"] for log in logs] == ["started", "caught up"]
    await wait_until_equal(to, publisher)


@pytest.mark.contract("5.6")
@pytest.mark.slow  # the conformance suite has all faults in one test
@pytest.mark.parametrize("fault", STREAM_FAULTS)
@pytest.mark.parametrize("mirror", ["running", "stopped"])
async def test_it_becomes_equal_after_a_fault(
    server: Server, publisher: PretendPublisher, to: str, fault: StreamFault, mirror: str
) -> None:
    """Whatever happens while it runs or is stopped, the copy becomes equal again."""
    await publisher.commit(tree(HOME))
    await mirror_once(server, to)
    if mirror == "stopped":
        await fault(publisher)
    async with running_mirror(server, to):
        if mirror == "running":
            await fault(publisher)
        await wait_until_equal(to, publisher)
        await publisher.commit(numbered(4, first=7))
        await wait_until_equal(to, publisher)


@pytest.mark.contract("5.6")
async def test_a_batch_applies_as_far_as_it_connects(
    server: Server, publisher: PretendPublisher, to: str
) -> None:
    """Events before a gap are applied; without a state the copy stays there."""
    await publisher.commit(tree(HOME))
    await mirror_once(server, to)
    await publisher.commit(tree(HOME, GARDEN))
    reached = publisher.position
    await publisher.commit(tree(HOME, GARDEN, TOYS))
    await publisher.commit(tree(HOME, TOYS))
    await publisher.client.xdel(publisher.events, "3-0")
    await publisher.client.delete(publisher.meta)
    with pytest.raises(NoState):
        await mirror_once(server, to)
    assert (stored_rows(to), stored_position(to)) == (tree(HOME, GARDEN), reached)


async def test_a_foreign_entry_causes_one_resync(
    server: Server, publisher: PretendPublisher, to: str, logs: list[Any]
) -> None:
    """An entry that somebody added after the last event causes one resync, not many."""
    await publisher.commit(tree(HOME))
    async with running_mirror(server, to):
        await wait_until_equal(to, publisher)
        for index in range(1, 4):
            await publisher.client.xadd(publisher.events, {"by": "hand"}, id=f"1-{index}")
            await eventually(logged(logs, "resynced", times=index + 1))
    await mirror_once(server, to)
    reasons = [log["reason"] for log in logs if log["event"] == "resynced"]
    assert reasons[1:] == [f"entry 1-{index} has no field event" for index in range(1, 4)]


@pytest.mark.contract("5.6")
async def test_a_failover_that_lost_commits(
    server: Server, publisher: PretendPublisher, to: str
) -> None:
    """The copy goes back with the state, though its own sequence was higher."""
    await publisher.commit(tree(HOME))
    backup = await publisher.backup()
    async with running_mirror(server, to):
        await publisher.commit(tree(HOME, GARDEN))
        await publisher.commit(tree(HOME, GARDEN, TOYS))
        await wait_until_equal(to, publisher)
        await publisher.restore(backup)
        await wait_until_equal(to, publisher)


@pytest.mark.contract("5.6")
async def test_a_failover_that_lost_commits_and_went_on(
    server: Server, publisher: PretendPublisher, to: str
) -> None:
    """Epoch and next sequence are the same again, but the history is another one."""
    await publisher.commit(tree(HOME))
    backup = await publisher.backup()
    await publisher.commit(tree(HOME, GARDEN))
    await mirror_once(server, to)
    await publisher.restore(backup)
    await publisher.commit(tree(HOME, TOYS))
    await publisher.commit(tree(TOYS))
    await mirror_once(server, to)
    await wait_until_equal(to, publisher)


@pytest.mark.contract("5.6")
async def test_an_own_row_that_was_changed(
    server: Server, publisher: PretendPublisher, to: str
) -> None:
    """Edited rows of the copy are noticed at the next event about one of them.

    Then the consumer resyncs, also the rows that no event is about.
    """
    await publisher.commit(tree(HOME, TOYS))
    async with running_mirror(server, to):
        await wait_until_equal(to, publisher)
        execute(to, "UPDATE categories SET local_name = 'mine'")
        await publisher.commit(tree(HOME | {"local_name": "House"}, TOYS))
        await wait_until_equal(to, publisher)


class Diary(Projection):
    """A projection without rows: it records its calls, and stores its checkpoint."""

    def __init__(self) -> None:
        self.checkpoint: Checkpoint | None = None
        self.calls: list[str] = []

    async def load(self) -> Checkpoint | None:
        """Return the checkpoint."""
        return self.checkpoint

    async def reset(self, snapshot: Snapshot, checkpoint: Checkpoint) -> None:
        """Record the number of categories."""
        self.calls.append(f"reset to {len(snapshot.rows)}")
        self.checkpoint = checkpoint

    async def apply(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:
        """Record the events."""
        self.calls += [f"{event.type} {event.category.id}" for event in events]
        self.checkpoint = checkpoint


@pytest.mark.contract("5.6")
async def test_a_projection_without_rows(server: Server, publisher: PretendPublisher) -> None:
    """It takes the old rows from the events, and resyncs like others."""
    diary = Diary()

    async def follow() -> None:
        async with connect(server, "us", once=True) as events:
            await run_projection(diary, Reader(events, "diary", once=True))

    await publisher.commit(tree(HOME, GARDEN))
    await follow()
    await publisher.commit(tree(HOME | {"local_name": "House"}, TOYS))
    await follow()
    await publisher.commit(numbered(7))
    await publisher.client.xtrim(publisher.events, maxlen=2, approximate=False)
    await follow()
    assert diary.calls == ["reset to 2", "updated 1", "added 3", "removed 2", "reset to 7"]


async def steps(
    server: Server, checkpoint: Checkpoint | None, rows: RowsOf | None = None
) -> list[Step]:
    """Return all steps from `checkpoint` on."""
    async with connect(server, "us", once=True) as events:
        return [step async for step in Reader(events, "mine", once=True).steps(checkpoint, rows)]


async def test_a_reset_has_a_reason(server: Server, publisher: PretendPublisher) -> None:
    """There is no checkpoint, an event does not connect, or an event is lost."""
    await publisher.commit(tree(HOME))
    (begin,) = await steps(server, None)
    await publisher.commit(tree(HOME, GARDEN))
    await publisher.commit(tree(HOME, GARDEN, TOYS))
    await publisher.client.xdel(publisher.events, "2-0")
    (after_a_gap,) = await steps(server, begin.checkpoint)
    await publisher.client.xdel(publisher.events, "3-0")
    (at_the_end,) = await steps(server, begin.checkpoint)
    resets = [begin, after_a_gap, at_the_end]
    assert [reset.reason for reset in resets if isinstance(reset, Reset)] == [
        "no valid checkpoint, full resync",
        "event 9f3c1a2b-3 does not follow 9f3c1a2b-1",
        f"no event leads from {begin.checkpoint.position} to {publisher.position}",
    ]


async def test_only_the_rows_of_changed_categories_are_read(
    server: Server, publisher: PretendPublisher
) -> None:
    """A catalog may be large, so no other rows are read."""
    asked: list[Collection[str]] = []

    async def rows(ids: Collection[str]) -> Rows:
        asked.append(ids)
        return {"1": Category("1", "0", "Home", is_leaf=True)}

    await publisher.commit(tree(HOME, TOYS))
    (begin,) = await steps(server, None)
    await publisher.commit(tree(HOME | {"local_name": "House"}, TOYS, GARDEN))
    (apply,) = await steps(server, begin.checkpoint, rows)
    assert asked == [{"1", "2"}]
    assert isinstance(apply, Apply)
    assert [event.category.id for event in apply.events] == ["1", "2"]


async def test_each_step_is_logged_with_its_position(
    server: Server, publisher: PretendPublisher, logs: list[Any]
) -> None:
    """Each line names the catalog, the consumer and the position."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("debug"))
    await publisher.commit(tree(HOME, TOYS))
    (begin,) = await steps(server, None)
    first = publisher.position
    await publisher.commit(tree(HOME, TOYS, GARDEN))
    second = publisher.position
    await steps(server, begin.checkpoint)
    reason, both = "no valid checkpoint, full resync", {"catalog": "us", "consumer": "mine"}
    info, debug = both | {"log_level": "info"}, both | {"log_level": "debug"}
    assert [log for log in logs if "consumer" in log] == [
        info | {"event": "started", "position": None},
        info | {"event": "resynced", "reason": reason, "position": first, "categories": 2},
        info | {"event": "caught up", "position": first},
        info | {"event": "started", "position": first},
        debug | {"event": "applied", "events": 1, "position": second},
        info | {"event": "caught up", "position": second},
    ]


class CountingClient(CatalogClient):
    """A client that records its calls."""

    checks = 0
    always_waits = True

    async def read(self, offset: str, *, wait: bool) -> list[Entry]:
        """Record whether the call waits."""
        self.always_waits &= bool(wait)
        return await super().read(offset, wait=wait)

    async def read_with_meta(self, offset: str) -> tuple[list[Entry], Meta]:
        """Count the checks that follow a read without entries."""
        self.checks += 1
        return await super().read_with_meta(offset)

    async def has_checked(self, times: int) -> bool:
        """Return whether there were at least `times` checks."""
        return self.checks >= times


async def test_an_idle_consumer_blocks_in_redis(
    server: Server, publisher: PretendPublisher
) -> None:
    """Reads block instead of polling, and nothing is written meanwhile."""
    await publisher.commit(tree(HOME))
    async with server.client() as client:
        catalog_client = CountingClient("us", server, client, client, QUICK, once=False)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(run_projection(Diary(), Reader(catalog_client, "diary")))
            await eventually(lambda: catalog_client.has_checked(1))
            shown = await client.hget("catalog:{us}:consumers", "diary")
            await eventually(lambda: catalog_client.has_checked(4))
            assert await client.hget("catalog:{us}:consumers", "diary") == shown
            task.cancel()
    assert catalog_client.always_waits


async def test_two_catalogs_in_one_database(server: Server, to: str) -> None:
    """Each has its own rows and its own checkpoint."""
    async with server.client() as client:
        us, uk = PretendPublisher(client), PretendPublisher(client, "uk")
        await us.commit(tree(HOME, GARDEN))
        await uk.commit(tree(TOYS))
        async with running_mirror(server, to), running_mirror(server, to, "uk"):
            await wait_until_equal(to, us)
            await wait_until_equal(to, uk)
            await us.commit(tree(HOME))
            await uk.commit(tree(TOYS, HOME))
            await wait_until_equal(to, us)
            await wait_until_equal(to, uk)
