"""What is kept is exact, is mended, and goes on where it ended."""

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
from tests.conformance.logs import saying
from tests.conformance.projection_under_test import Kept, Seen, Subject
from tests.consumers.pretend_publisher import PretendPublisher, numbered, row, tree
from tests.consumers.stream_faults import another
from tests.support.small_reads import BATCH
from tests.support.waiting import eventually

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
"""Blanks, line ends, quotes, every script; names that differ by case or composition alone."""


class InAStore(Subject):
    """All of a batch or nothing of it, by one writer."""

    async def test_a_row_that_was_changed(self, kept: Kept, publisher: PretendPublisher) -> None:
        """Whoever wrote to the copy: with the row's next event, or at a start, it is made anew."""
        await publisher.commit(tree(HOME, TOYS))
        async with kept.following():
            await kept.equal(publisher)
            await kept.tamper("1")
            await publisher.commit(tree(HOME | {"local_name": "House"}, TOYS))
            await kept.equal(publisher)
        await kept.tamper("3")
        await kept.catch_up()
        await kept.equal(publisher)

    async def test_names_of_every_kind(self, kept: Kept, publisher: PretendPublisher) -> None:
        """They are stored as they are, from a snapshot, by events, and in ids too."""
        rows = [row(str(id_), name) for id_, name in enumerate(NAMES, start=1)]
        rows += [row(name, "a name") for name in NAMES[:-1]]
        await publisher.commit(tree(*rows))
        await kept.catch_up()
        await kept.equal(publisher)
        await publisher.commit(tree(HOME))
        await publisher.commit(tree(*rows))
        await publisher.commit(
            tree(*(one | {"local_name": one["local_name"] + "!"} for one in rows))
        )
        await kept.catch_up()
        await kept.equal(publisher)

    async def test_a_restart_in_the_middle(
        self, kept: Kept, publisher: PretendPublisher, logs: list[Any]
    ) -> None:
        """Between two batches it may end: the next start goes on there, without a resync."""
        await publisher.commit(tree(HOME))
        await kept.catch_up()
        await publisher.commit(numbered(BATCH // 2))
        await publisher.commit(numbered(BATCH // 2, first=BATCH))
        logs.clear()
        applied = await self._apply_one_batch(kept)
        found = await kept.seen()
        assert found is not None
        assert found.position == applied.checkpoint.position != publisher.position
        await kept.catch_up()
        await kept.equal(publisher)
        assert [log["event"] for log in logs] == ["started", "started", "caught up"]

    async def _apply_one_batch(self, kept: Kept) -> Apply:
        async with kept.opened() as projection, kept.opened_stream() as events:
            steps = Reader(events, "short-lived").steps(await projection.load(), projection.rows)
            async with contextlib.aclosing(steps):
                step = await anext(steps)
                await step.apply_to(projection)
        assert isinstance(step, Apply)
        return step

    @pytest.mark.parametrize("work", ["reset", "apply"])
    async def test_cancelled_before_the_commit(
        self, kept: Kept, publisher: PretendPublisher, work: str
    ) -> None:
        """All was written but nothing committed: then nothing of it is there."""
        await publisher.commit(tree(HOME, GARDEN))
        await kept.catch_up()
        before = await kept.seen()
        if work == "reset":
            await publisher.begin_epoch("00000002", numbered(500))
        else:
            await publisher.commit(numbered(500))
        async with kept.opened(hanging(self.projection)) as projection:
            await self._cancelled(kept, projection, projection.written)  # type: ignore[attr-defined]
        assert await kept.seen() == before
        await kept.catch_up()
        await kept.equal(publisher)

    async def test_cancelled_at_any_moment(self, kept: Kept, publisher: PretendPublisher) -> None:
        """What is there afterwards is what was there before, or all of the batch."""
        await publisher.commit(tree(HOME))
        for milliseconds in (0, 1, 2, 4, 8, 16):
            await kept.catch_up()
            before = await kept.seen()
            await publisher.commit(another(publisher, 50))
            async with kept.opened() as projection:
                await self._cancelled(kept, projection, pause(milliseconds / 1000))
            assert await kept.seen() in [before, Seen(publisher.position, publisher.tree)]
        await kept.catch_up()
        await kept.equal(publisher)

    async def _cancelled(
        self, kept: Kept, projection: VerifiableProjection, moment: Awaitable[object]
    ) -> None:
        """Begin the next step, and cancel it at `moment`."""
        async with kept.opened_stream() as events:
            steps = Reader(events, "cancelled").steps(await projection.load(), projection.rows)
            async with contextlib.aclosing(steps):
                step = await anext(steps)
                doing = asyncio.create_task(step.apply_to(projection))
                await moment
                doing.cancel()
                await asyncio.wait([doing])

    async def test_two_writers(
        self, kept: Kept, publisher: PretendPublisher, logs: list[Any]
    ) -> None:
        """One of the two is refused as soon as something is published; the copy stays right."""
        await publisher.commit(tree(HOME))
        await kept.catch_up()
        logs.clear()
        async with kept.running() as one, kept.running() as other:
            await eventually(saying(logs, "started", times=2))
            await publisher.commit(tree(HOME, GARDEN))
            done, (remaining,) = await asyncio.wait(
                [one, other], timeout=20, return_when=asyncio.FIRST_COMPLETED
            )
            with pytest.raises(
                CheckpointConflict, match=f"store's {self.projection.kind} of catalog us"
            ):
                await done.pop()
            await publisher.commit(tree(HOME, TOYS))
            await kept.equal(publisher)
            assert not remaining.done()

    async def test_two_first_writers(self, kept: Kept, publisher: PretendPublisher) -> None:
        """Both found an empty database: the second one is refused."""
        await publisher.commit(tree(HOME))
        async with kept.opened() as first, kept.opened() as second, kept.opened_stream() as events:
            assert (await first.load(), await second.load()) == (None, None)
            await first.reset(*await events.snapshot())
            await publisher.commit(tree(GARDEN | {"parent_id": "0"}))
            with pytest.raises(CheckpointConflict, match="stop one of the two"):
                await second.reset(*await events.snapshot())
            await first.reset(*await events.snapshot())
        await kept.equal(publisher)

    async def test_many_catalogs_at_once(
        self, kept: Kept, real_server: Server, publisher: PretendPublisher
    ) -> None:
        """Their consumers begin and go on in one database without being in each other's way."""
        publishers = [PretendPublisher(publisher.client, f"catalog-{index}") for index in range(6)]
        all_kept = [Kept(self, real_server, kept.url, each.catalog) for each in publishers]
        for _ in range(2):
            for each in publishers:
                await each.commit(another(each, 100))
            await asyncio.gather(*(each.catch_up() for each in all_kept))
            for one, its_publisher in zip(all_kept, publishers, strict=True):
                await one.equal(its_publisher)


async def pause(seconds: float) -> None:
    """Let so much time pass: the moment at which something is cut short is what is tested."""
    await asyncio.sleep(seconds)


def hanging(kind: type[VerifiableProjection]) -> type[VerifiableProjection]:
    """Return a kind that writes all and then never gets to the commit."""

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
