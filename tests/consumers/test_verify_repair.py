"""`verify --repair`: a different copy becomes the state again, in each database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from consumers.errors import CheckpointConflict, NoState, PositionMismatch
from consumers.following.catalog_client import CatalogClient, connect
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from consumers.projection_kinds import KINDS
from consumers.sql.database import open_database
from consumers.sql.projection import VerifiableProjection
from consumers.verify import Verdict, repair_projection, verify_projection
from plumbing.redis.server import Server
from tests.consumers.mirrors import QUICK, run_once
from tests.consumers.pretend_publisher import PretendPublisher, row, tree
from tests.support.databases import execute, fetch
from tests.support.messages import whole
from tests.support.waiting import PATIENCE, eventually

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")
DAMAGE = {
    "mirror": "DELETE FROM categories WHERE id = '1'",
    "history": "DELETE FROM category_history WHERE id = '1'",
    "map": "UPDATE map_categories SET local_name = 'Horn' WHERE id = '1'",
}


@pytest.fixture
async def publisher(real_server: Server) -> AsyncIterator[PretendPublisher]:
    """Yield a publisher of `us` on a real server."""
    async with real_server.client() as client:
        yield PretendPublisher(client)


@asynccontextmanager
async def opened(
    server: Server, to: str, kind: str = "mirror", *, once: bool = True
) -> AsyncIterator[tuple[CatalogClient, VerifiableProjection]]:
    """Open a client of catalog us, and the projection `kind` of it in `to`."""
    async with (
        open_database(to) as store,
        connect(server, "us", once=once, timing=QUICK) as events,
    ):
        yield events, KINDS[kind](store, "us")


@asynccontextmanager
async def building(server: Server, to: str) -> AsyncIterator[asyncio.Task[None]]:
    """Run a mirror in the background, and yield its task."""
    async with opened(server, to, once=False) as (events, projection):
        task = asyncio.create_task(run_projection(projection, Reader(events, "mirror")))
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def verified(server: Server, to: str, kind: str = "mirror") -> Verdict:
    """Compare as the command does."""
    async with opened(server, to, kind) as (events, projection):
        return await verify_projection(events, projection, within=PATIENCE)


async def repaired(server: Server, to: str, kind: str = "mirror", within: float = 0.0) -> Verdict:
    """Repair as the command does."""
    found = ["a difference"]
    async with opened(server, to, kind) as (events, projection):
        return await repair_projection(events, projection, found, within=within)


def repaired_verdict(publisher: PretendPublisher) -> Verdict:
    """Return the verdict after a successful repair."""
    count = len(publisher.tree)
    return Verdict(publisher.position, count, ["a difference"], is_repaired=True)


@pytest.mark.parametrize("kind", KINDS)
async def test_each_projection(
    real_server: Server, publisher: PretendPublisher, database_url: str, kind: str
) -> None:
    """The copy is equal again, and the checkpoint is unchanged."""
    checkpoints = "SELECT epoch, sequence, stream_offset, digest FROM checkpoints"
    await publisher.commit(tree(HOME, GARDEN))
    await run_once(real_server, database_url, kind)
    checkpoint = await fetch(database_url, checkpoints)
    await execute(database_url, DAMAGE[kind])
    assert (await verified(real_server, database_url, kind)).outcome == "different"
    verdict = await repaired(real_server, database_url, kind)
    assert verdict == repaired_verdict(publisher)
    assert verdict.outcome == "repaired"
    assert (await verified(real_server, database_url, kind)).outcome == "equal"
    assert await fetch(database_url, checkpoints) == checkpoint


async def test_a_history_records_it(
    real_server: Server, publisher: PretendPublisher, to: str
) -> None:
    """A repair is recorded as a resync, with the differences that it found."""
    await publisher.commit(tree(HOME, GARDEN))
    await run_once(real_server, to, "history")
    await execute(to, DAMAGE["history"])
    await repaired(real_server, to, "history")
    await run_once(real_server, to, "history")
    resyncs = "SELECT number, from_position, to_position, added, updated, removed"
    assert await fetch(to, f"{resyncs} FROM history_resyncs ORDER BY number") == [
        (1, None, publisher.position, 2, 0, 0),
        (2, publisher.position, publisher.position, 1, 0, 0),
    ]


async def test_a_running_consumer_continues(
    real_server: Server, publisher: PretendPublisher, database_url: str
) -> None:
    """A repair at the consumer's own position does not disturb it."""
    await publisher.commit(tree(HOME, GARDEN))
    async with building(real_server, database_url) as consumer:
        await eventually(lambda: is_equal(real_server, database_url, publisher))
        await execute(database_url, DAMAGE["mirror"])
        assert (await repaired(real_server, database_url)).outcome == "repaired"
        await publisher.commit(tree(HOME, GARDEN, TOYS))
        await eventually(lambda: is_equal(real_server, database_url, publisher))
        assert not consumer.done()


async def is_equal(server: Server, to: str, publisher: PretendPublisher) -> bool:
    """Return whether the mirror is what `publisher` committed."""
    async with opened(server, to) as (_, projection):
        await projection.load()
        checkpoint, rows = await projection.read()
    wanted = {id_: tuple(one.values()) for id_, one in publisher.tree.items()}
    return checkpoint is not None and checkpoint.position == publisher.position and rows == wanted


async def test_a_repair_waits_for_a_consumer_that_lags(
    real_server: Server, publisher: PretendPublisher, to: str
) -> None:
    """A copy is not reset while its consumer may still catch up."""
    await publisher.commit(tree(HOME))
    await run_once(real_server, to)
    await publisher.commit(tree(HOME, GARDEN))
    await execute(to, DAMAGE["mirror"])
    repairing = asyncio.create_task(repaired(real_server, to, within=PATIENCE))
    await asyncio.wait([repairing], timeout=0.1)
    assert not repairing.done()
    await run_once(real_server, to)
    assert (await repairing).outcome == "repaired"


async def test_a_damaged_copy_that_lags(
    real_server: Server, publisher: PretendPublisher, database_url: str
) -> None:
    """It becomes the current state; a consumer that knew the old copy gets a conflict."""
    await publisher.commit(tree(HOME))
    await run_once(real_server, database_url)
    async with opened(real_server, database_url) as (_, other):
        known = await other.load()
        assert known is not None
        await publisher.commit(tree(HOME, GARDEN))
        await execute(database_url, DAMAGE["mirror"])
        verdict = await repaired(real_server, database_url)
        assert verdict == repaired_verdict(publisher)
        with pytest.raises(
            CheckpointConflict,
            match=whole(
                "<any>: another consumer writes to this database's mirror of catalog us: stop "
                "one of the two"
            ),
        ):
            await other.apply([], known._replace(sequence=7))


async def test_another_history_at_the_same_position(
    real_server: Server, publisher: PretendPublisher, database_url: str
) -> None:
    """A copy that fits its checkpoint but not the state becomes the state."""
    await publisher.commit(tree(HOME, GARDEN))
    await run_once(real_server, database_url)
    await publisher.client.flushall()
    publisher.tree, publisher.digest = {}, 0
    await publisher.begin_epoch(publisher.epoch, tree(HOME, TOYS))
    assert (await verified(real_server, database_url)).outcome == "different"
    assert await repaired(real_server, database_url) == repaired_verdict(publisher)


class ChangesMeanwhile:
    """A client during whose `snapshot` a consumer changes the copy."""

    def __init__(self, real: CatalogClient, server: Server, to: str) -> None:
        self._real = real
        self._server = server
        self._to = to
        self.times = 0

    async def snapshot(self) -> Any:
        """Read the state, and then let the consumer work."""
        found = await self._real.snapshot()
        self.times += 1
        if self.times == 1:
            await run_once(self._server, self._to)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


async def test_a_consumer_that_changes_the_copy_meanwhile(
    real_server: Server, publisher: PretendPublisher, database_url: str
) -> None:
    """Its work is not undone: the repair is tried again with the new copy."""
    await publisher.commit(tree(HOME))
    await run_once(real_server, database_url)
    await publisher.commit(tree(HOME, GARDEN))
    await execute(database_url, DAMAGE["mirror"])
    async with opened(real_server, database_url) as (events, projection):
        meanwhile: Any = ChangesMeanwhile(events, real_server, database_url)
        verdict = await repair_projection(meanwhile, projection, ["a difference"], within=0)
    assert verdict == repaired_verdict(publisher)
    assert meanwhile.times == 2


async def test_nothing_to_repair_from(
    real_server: Server, publisher: PretendPublisher, database_url: str
) -> None:
    """Without a state the copy is not changed."""
    await publisher.commit(tree(HOME, GARDEN))
    await run_once(real_server, database_url)
    await execute(database_url, DAMAGE["mirror"])
    await publisher.client.flushall()
    with pytest.raises(NoState):
        await repaired(real_server, database_url)
    assert await fetch(database_url, "SELECT id FROM categories") == [("2",)]


async def test_a_copy_at_another_position(
    real_server: Server, publisher: PretendPublisher, database_url: str
) -> None:
    """It cannot be compared, but it can be repaired without a running consumer."""
    await publisher.commit(tree(HOME))
    await run_once(real_server, database_url)
    await execute(database_url, "UPDATE checkpoints SET sequence = sequence + 5")
    async with opened(real_server, database_url) as (events, projection):
        with pytest.raises(
            PositionMismatch,
            match=whole(
                "the copy is at <any>-6-aadf6762fb503ed6, the state at "
                "<any>-1-aadf6762fb503ed6: is its consumer running?"
            ),
        ):
            await verify_projection(events, projection, within=0)
    assert await repaired(real_server, database_url) == repaired_verdict(publisher)
