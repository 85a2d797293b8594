"""Whatever happens to the stream, a projection equals the state or keeps its data."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.projection_under_test import ProjectionTests, ProjectionUnderTest
from tests.consumers.logged import logged
from tests.consumers.pretend_publisher import PretendPublisher, row, tree
from tests.consumers.stream_faults import STREAM_FAULTS, another
from tests.support.waiting import eventually

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")


class StreamTests(ProjectionTests):
    """Faults of stream and state."""

    @pytest.mark.contract("5.8")
    async def test_it_follows(
        self, subject: ProjectionUnderTest, publisher: PretendPublisher
    ) -> None:
        """All kinds of changes are applied, and the checkpoint is stored with them."""
        await publisher.commit(tree(HOME))
        async with subject.following():
            await subject.assert_equal(publisher)
            await publisher.commit(tree(HOME, GARDEN, TOYS))
            await subject.assert_equal(publisher)
            await publisher.commit(tree(GARDEN | {"parent_id": "0"}, HOME | {"parent_id": "2"}))
            await subject.assert_equal(publisher)

    @pytest.mark.contract("5.6")
    @pytest.mark.contract("5.9")
    @pytest.mark.parametrize("projection", ["running", "stopped"])
    async def test_stream_faults(
        self, subject: ProjectionUnderTest, publisher: PretendPublisher, projection: str
    ) -> None:
        """One fault after the other happens, while the projection runs or is stopped."""
        await publisher.commit(tree(HOME, GARDEN))
        async with subject.following():
            await subject.assert_equal(publisher)
            if projection == "running":
                for fault in STREAM_FAULTS:
                    await fault(publisher)
                    await self._wait_for_recovery(subject, publisher, fault)
        if projection == "stopped":
            for fault in STREAM_FAULTS:
                await fault(publisher)
                await subject.catch_up()
                await self._wait_for_recovery(subject, publisher, fault)
        await subject.assert_equal(publisher)

    async def _wait_for_recovery(
        self, subject: ProjectionUnderTest, publisher: PretendPublisher, fault: Callable[..., Any]
    ) -> None:
        try:
            await subject.wait_until_equal(publisher)
        except AssertionError as error:
            error.add_note(f"after {fault.__name__}: {fault.__doc__}")
            raise

    @pytest.mark.contract("5.7")
    async def test_an_emptied_redis(
        self, subject: ProjectionUnderTest, publisher: PretendPublisher, logs: list[Any]
    ) -> None:
        """Running and starting projections keep their data until a new epoch is published."""
        await publisher.commit(tree(HOME, GARDEN))
        await subject.catch_up()
        before = await subject.read()
        async with subject.following():
            await publisher.client.flushall()
            await eventually(logged(logs, "no valid state, waiting"))
            assert await subject.read() == before
        async with subject.following():
            await eventually(logged(logs, "no valid state, waiting", times=2))
            assert await subject.read() == before
            publisher.tree, publisher.digest = {}, 0
            await publisher.begin_epoch("00000002", tree(HOME, TOYS))
            await subject.assert_equal(publisher)

    @pytest.mark.contract("5.6")
    @pytest.mark.parametrize("entry_ids", ["the same", "higher"])
    async def test_a_failover_that_lost_writes(
        self, subject: ProjectionUnderTest, publisher: PretendPublisher, entry_ids: str
    ) -> None:
        """The lost sequences are used again for other events: the projection resyncs."""
        await publisher.commit(tree(HOME))
        for moment in ("set back is seen", "set back is not seen"):
            backup, commits = await publisher.backup(), publisher.commits
            async with subject.following():
                await publisher.commit(another(publisher))
                await subject.assert_equal(publisher)
                if moment == "set back is seen":
                    await publisher.restore(backup)
                    await subject.assert_equal(publisher)
            await publisher.restore(backup)
            if entry_ids == "the same":
                publisher.commits = commits
            await publisher.commit(tree(HOME, row("8", moment), TOYS, GARDEN))
            async with subject.following():
                await subject.assert_equal(publisher)
