"""A copy is exact, is repaired if it was changed, and continues where it ended."""

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import Any, Final

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Checkpoint, Event, Snapshot
from consumers.errors import CheckpointConflict
from consumers.following.reader import Apply, Reader
from consumers.sql.projection import VerifiableProjection
from plumbing.redis.server import Server
from tests.conformance.projection_under_test import ProjectionTests, ProjectionUnderTest, StoredCopy
from tests.consumers.logged import logged
from tests.consumers.pretend_publisher import PretendPublisher, numbered, row, tree
from tests.consumers.stream_faults import another
from tests.support.small_reads import BATCH
from tests.support.waiting import PATIENCE, eventually

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")
NAMES: Final = [
    " a ",
    "\xa0\n\t\r",
    "'; DROP TABLE categories; --",
    'a "name", \\ and `more` %s :id ?',
    "=1+1",
    "家居",
    "🏡👨‍👩‍👧",
    "\u202eabc",
    "\x1b[31m",
    "Straße",
    "STRASSE",
    "straße",
    "é",
    "e\u0301",
    "x" * 20_000,
]
"""Blanks, line ends, quotes, many scripts; names that differ only by case or composition."""


class StoreTests(ProjectionTests):
    """A batch is stored completely or not at all, and by one writer only."""

    @pytest.mark.contract("5.6")
    async def test_a_row_that_was_changed(
        self, subject: ProjectionUnderTest, publisher: PretendPublisher
    ) -> None:
        """The consumer resyncs at the row's next event, or at its next start."""
        await publisher.commit(tree(HOME, TOYS))
        async with subject.following():
            await subject.assert_equal(publisher)
            await subject.tamper("1")
            await publisher.commit(tree(HOME | {"local_name": "House"}, TOYS))
            await subject.assert_equal(publisher)
        await subject.tamper("3")
        await subject.catch_up()
        await subject.assert_equal(publisher)

    async def test_names_of_every_kind(
        self, subject: ProjectionUnderTest, publisher: PretendPublisher
    ) -> None:
        """They are stored unchanged, from a snapshot and from events, in names and in ids."""
        rows = [row(str(id_), name) for id_, name in enumerate(NAMES, start=1)]
        rows += [row(name, "a name") for name in NAMES[:-1]]
        await publisher.commit(tree(*rows))
        await subject.catch_up()
        await subject.assert_equal(publisher)
        await publisher.commit(tree(HOME))
        await publisher.commit(tree(*rows))
        await publisher.commit(
            tree(*(one | {"local_name": one["local_name"] + "!"} for one in rows))
        )
        await subject.catch_up()
        await subject.assert_equal(publisher)

    async def test_a_restart_in_the_middle(
        self, subject: ProjectionUnderTest, publisher: PretendPublisher, logs: list[Any]
    ) -> None:
        """A consumer that ends between two batches continues there, without a resync."""
        await publisher.commit(tree(HOME))
        await subject.catch_up()
        await publisher.commit(numbered(BATCH // 2))
        await publisher.commit(numbered(BATCH // 2, first=BATCH))
        logs.clear()
        applied = await self._apply_one_batch(subject)
        found = await subject.read()
        assert found is not None
        assert found.position == applied.checkpoint.position != publisher.position
        await subject.catch_up()
        await subject.assert_equal(publisher)
        assert [log["event"] for log in logs] == ["started", "started", "caught up"]

    async def _apply_one_batch(self, subject: ProjectionUnderTest) -> Apply:
        async with subject.open() as projection, subject.connect() as events:
            steps = Reader(events, "short-lived").steps(await projection.load(), projection.rows)
            async with contextlib.aclosing(steps):
                step = await anext(steps)
                await step.apply_to(projection)
        assert isinstance(step, Apply)
        return step

    @pytest.mark.contract("5.8")
    @pytest.mark.parametrize("work", ["reset", "apply"])
    async def test_cancelled_before_the_commit(
        self, subject: ProjectionUnderTest, publisher: PretendPublisher, work: str
    ) -> None:
        """Rows that were written but not committed are not in the database."""
        await publisher.commit(tree(HOME, GARDEN))
        await subject.catch_up()
        before = await subject.read()
        if work == "reset":
            await publisher.begin_epoch("00000002", numbered(500))
        else:
            await publisher.commit(numbered(500))
        async with subject.open(hanging(self.projection)) as projection:
            await self._cancel_step(subject, projection, projection.written)  # type: ignore[attr-defined]
        assert await subject.read() == before
        await subject.catch_up()
        await subject.assert_equal(publisher)

    @pytest.mark.contract("5.8")
    async def test_cancelled_at_any_moment(
        self, subject: ProjectionUnderTest, publisher: PretendPublisher
    ) -> None:
        """The database holds either the copy from before or the whole batch."""
        await publisher.commit(tree(HOME))
        for milliseconds in (0, 1, 2, 4, 8, 16):
            await subject.catch_up()
            before = await subject.read()
            await publisher.commit(another(publisher, 50))
            async with subject.open() as projection:
                await self._cancel_step(subject, projection, pause(milliseconds / 1000))
            assert await subject.read() in [before, StoredCopy(publisher.position, publisher.tree)]
        await subject.catch_up()
        await subject.assert_equal(publisher)

    async def _cancel_step(
        self,
        subject: ProjectionUnderTest,
        projection: VerifiableProjection,
        moment: Awaitable[object],
    ) -> None:
        """Start the next step, and cancel it at `moment`."""
        async with subject.connect() as events:
            steps = Reader(events, "cancelled").steps(await projection.load(), projection.rows)
            async with contextlib.aclosing(steps):
                step = await anext(steps)
                doing = asyncio.create_task(step.apply_to(projection))
                await moment
                doing.cancel()
                await asyncio.wait([doing])

    @pytest.mark.contract("5.8")
    async def test_two_writers(
        self, subject: ProjectionUnderTest, publisher: PretendPublisher, logs: list[Any]
    ) -> None:
        """One of the two ends as soon as something is published; the copy stays correct."""
        await publisher.commit(tree(HOME))
        await subject.catch_up()
        logs.clear()
        async with subject.running() as one, subject.running() as other:
            await eventually(logged(logs, "started", times=2))
            await publisher.commit(tree(HOME, GARDEN))
            done, (remaining,) = await asyncio.wait(
                [one, other], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
            )
            with pytest.raises(
                CheckpointConflict, match=f"database's {self.projection.kind} of catalog us"
            ):
                await done.pop()
            await publisher.commit(tree(HOME, TOYS))
            await subject.assert_equal(publisher)
            assert not remaining.done()

    @pytest.mark.contract("5.8")
    async def test_two_first_writers(
        self, subject: ProjectionUnderTest, publisher: PretendPublisher
    ) -> None:
        """If both found an empty database, the second one is refused."""
        await publisher.commit(tree(HOME))
        async with subject.open() as first, subject.open() as second, subject.connect() as events:
            assert (await first.load(), await second.load()) == (None, None)
            await first.reset(*await events.snapshot())
            await publisher.commit(tree(GARDEN | {"parent_id": "0"}))
            with pytest.raises(CheckpointConflict, match="stop one of the two"):
                await second.reset(*await events.snapshot())
            await first.reset(*await events.snapshot())
        await subject.assert_equal(publisher)

    async def test_many_catalogs_at_once(
        self, subject: ProjectionUnderTest, real_server: Server, publisher: PretendPublisher
    ) -> None:
        """Their consumers start and run in one database without disturbing each other."""
        publishers = [PretendPublisher(publisher.client, f"catalog-{index}") for index in range(6)]
        subjects = [
            ProjectionUnderTest(self, real_server, subject.url, each.catalog) for each in publishers
        ]
        for _ in range(2):
            for each in publishers:
                await each.commit(another(each, 100))
            await asyncio.gather(*(each.catch_up() for each in subjects))
            for one, its_publisher in zip(subjects, publishers, strict=True):
                await one.assert_equal(its_publisher)


async def pause(seconds: float) -> None:
    """Let time pass: the moment of the cancellation is what is tested."""
    await asyncio.sleep(seconds)


def hanging(kind: type[VerifiableProjection]) -> type[VerifiableProjection]:
    """Return a subclass of `kind` that writes everything and then never commits."""

    class Hanging(kind):  # type: ignore[valid-type,misc]
        written = property(lambda self: self._written.wait())

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._written = asyncio.Event()

        async def reset_in(
            self, connection: AsyncConnection, snapshot: Snapshot, checkpoint: Checkpoint
        ) -> None:
            await super().reset_in(connection, snapshot, checkpoint)
            await self._hang()

        async def apply_in(
            self, connection: AsyncConnection, events: Sequence[Event], checkpoint: Checkpoint
        ) -> None:
            await super().apply_in(connection, events, checkpoint)
            await self._hang()

        async def _hang(self) -> None:
            self._written.set()
            await asyncio.Event().wait()

    return Hanging
