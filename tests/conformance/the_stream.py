"""Whatever happens to the stream, a projection ends equal, or keeps what it has."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.logs import saying
from tests.conformance.projection_under_test import Kept, Subject
from tests.consumers.pretend_publisher import PretendPublisher, row, tree
from tests.consumers.stream_faults import MISHAPS, another
from tests.support.waiting import eventually

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")


class OnAStream(Subject):
    """What comes from Redis, and what does not come."""

    async def test_it_follows(self, kept: Kept, publisher: PretendPublisher) -> None:
        """Additions, updates, moves and removals arrive, with the checkpoint."""
        await publisher.commit(tree(HOME))
        async with kept.following():
            await kept.equal(publisher)
            await publisher.commit(tree(HOME, GARDEN, TOYS))
            await kept.equal(publisher)
            await publisher.commit(tree(GARDEN | {"parent_id": "0"}, HOME | {"parent_id": "2"}))
            await kept.equal(publisher)

    @pytest.mark.parametrize("projection", ["running", "away"])
    async def test_mishaps(self, kept: Kept, publisher: PretendPublisher, projection: str) -> None:
        """One after the other happens to the stream, while the projection runs or is away."""
        await publisher.commit(tree(HOME, GARDEN))
        async with kept.following():
            await kept.equal(publisher)
            if projection == "running":
                for mishap in MISHAPS:
                    await mishap(publisher)
                    await self._recovered(kept, publisher, mishap)
        if projection == "away":
            for mishap in MISHAPS:
                await mishap(publisher)
                await kept.catch_up()
                await self._recovered(kept, publisher, mishap)
        await kept.equal(publisher)

    async def _recovered(
        self, kept: Kept, publisher: PretendPublisher, mishap: Callable[..., Any]
    ) -> None:
        try:
            await kept.arrived(publisher)
        except AssertionError as error:
            error.add_note(f"after {mishap.__name__}: {mishap.__doc__}")
            raise

    async def test_an_emptied_redis(
        self, kept: Kept, publisher: PretendPublisher, logs: list[Any]
    ) -> None:
        """Nothing is thrown away, by who runs and by who starts; then another epoch comes."""
        await publisher.commit(tree(HOME, GARDEN))
        await kept.catch_up()
        before = await kept.seen()
        async with kept.following():
            await publisher.client.flushall()
            await eventually(saying(logs, "no valid state, waiting"))
            assert await kept.seen() == before
        async with kept.following():
            await eventually(saying(logs, "no valid state, waiting", times=2))
            assert await kept.seen() == before
            publisher.tree, publisher.digest = {}, 0
            await publisher.begin_epoch("00000002", tree(HOME, TOYS))
            await kept.equal(publisher)

    @pytest.mark.parametrize("entry_ids", ["the same", "higher"])
    async def test_a_failover_that_lost_writes(
        self, kept: Kept, publisher: PretendPublisher, entry_ids: str
    ) -> None:
        """The sequences that were lost come again with other events: by then or before."""
        await publisher.commit(tree(HOME))
        for moment in ("set back is seen", "set back is not seen"):
            backup, commits = await publisher.backup(), publisher.commits
            async with kept.following():
                await publisher.commit(another(publisher))
                await kept.equal(publisher)
                if moment == "set back is seen":
                    await publisher.restore(backup)
                    await kept.equal(publisher)
            await publisher.restore(backup)
            if entry_ids == "the same":
                publisher.commits = commits
            await publisher.commit(tree(HOME, row("8", moment), TOYS, GARDEN))
            async with kept.following():
                await kept.equal(publisher)
