"""The user's commands and `map watch` at the same time, in each database."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.contract.model import Checkpoint, Event
from consumers.errors import MappingRejected, StoreUnavailable
from consumers.mapping.evaluate import evaluate
from consumers.mapping.linking import LinkRequest, link
from consumers.mapping.model import OwnCategory
from consumers.mapping.projection import MapProjection
from consumers.mapping.service import MappingService
from consumers.mapping.store import MappingStore
from consumers.sql.database import open_database
from tests.consumers.mapping.mapping_catalog import (
    MUGS,
    TREE,
    MappingCatalog,
    open_mapping_catalog,
    without,
)
from tests.consumers.pretend_publisher import TIME, numbered, row
from tests.support.messages import whole


class HeldProjection(MapProjection):
    """Stops before each commit until it may continue."""

    def hold(self) -> None:
        """Stop at the next commit."""
        self.reached_commit, self.may_continue = asyncio.Event(), asyncio.Event()

    async def apply_in(
        self, connection: AsyncConnection, events: Sequence[Event], checkpoint: Checkpoint
    ) -> None:
        """Write, and wait before the commit."""
        await super().apply_in(connection, events, checkpoint)
        self.reached_commit.set()
        await self.may_continue.wait()


@asynccontextmanager
async def another_service(to: str) -> AsyncIterator[MappingService]:
    """Open the mappings a second time, as another process does."""
    async with open_database(to) as opened:
        yield MappingService(opened, "us")


async def is_waiting(task: asyncio.Task[object]) -> bool:
    """Return whether `task` is not done after 0.2 s."""
    done, _ = await asyncio.wait([task], timeout=0.2)
    return not done


@pytest.mark.contract("5.8")
async def test_a_removal_before_a_link(database_url: str) -> None:
    """A link requested while its category's removal is written waits, and is rejected."""
    async with (
        open_mapping_catalog(database_url, *TREE) as it,
        another_service(database_url) as service,
    ):
        await it.import_own(a="A")
        held = HeldProjection(it.projection.database, "us")
        await held.load()
        held.hold()
        events = it.events(*without(MUGS))
        writing = asyncio.create_task(held.apply(events, it.checkpoint))
        await held.reached_commit.wait()
        linking = asyncio.create_task(service.link([LinkRequest("a", "2")]))
        assert await is_waiting(linking)
        held.may_continue.set()
        await writing
        with pytest.raises(
            MappingRejected, match=whole("nothing was linked:\nthere is no category '2'")
        ):
            await linking
        assert await it.states() == {"a": "unlinked"}


async def test_a_removal_after_a_link(database_url: str) -> None:
    """A removal waits for a link that is being written, and then breaks it."""
    async with (
        open_mapping_catalog(database_url, *TREE) as it,
        another_service(database_url) as service,
    ):
        await it.import_own(a="A")
        async with service.changing() as (connection, _):
            removing = asyncio.create_task(it.go_to(*without(MUGS)))
            assert await is_waiting(removing)
            made = link(
                [LinkRequest("a", "2")], await service.read_in(connection), TIME, replace=False
            )
            await MappingStore("us").write_links(connection, made)
        await removing
        assert await it.states() == {"a": "broken: removed"}


async def test_links_and_events_at_random(database_url: str) -> None:
    """After links and events at random, each state is that of the tree."""
    choose = random.Random(3)
    rows = list(numbered(20).values())
    async with (
        open_mapping_catalog(database_url, *rows) as it,
        another_service(database_url) as service,
    ):
        await service.import_categories([OwnCategory(str(key), "A", "A") for key in range(20)])
        user = asyncio.create_task(link_at_random(service, choose))
        for name in range(15):
            some = choose.sample(rows, 12)
            await it.go_to(
                *(one | {"local_name": choose.choice("AB")} for one in some), row("99", str(name))
            )
        await user
        await check(it)


async def link_at_random(service: MappingService, choose: random.Random) -> None:
    """Request links at random; some are rejected."""
    for _ in range(30):
        try:
            await service.link([LinkRequest(str(choose.randrange(20)), str(choose.randrange(20)))])
        except MappingRejected:
            await asyncio.sleep(0)
        except StoreUnavailable as error:
            raise AssertionError("a link did not wait for a lock") from error


async def check(it: MappingCatalog) -> None:
    """Check that each state is that of the tree."""
    snapshot = await it.service.read_all()
    assert len(snapshot.linked_keys) > 3
    for mapping in snapshot.mappings.values():
        category = snapshot.rows.get(mapping.linked.id) if mapping.linked else None
        assert mapping.status[:2] == evaluate(mapping.linked, category)


async def test_two_imports_at_once(database_url: str) -> None:
    """Both imports are done, one after the other."""
    owns = [OwnCategory(str(key), "A", "A") for key in range(50)]
    async with open_mapping_catalog(database_url, *TREE), another_service(database_url) as service:
        done = await asyncio.gather(
            service.import_categories(owns), service.import_categories(owns)
        )
        assert sorted(done) == [(0, 0, 50, 0), (50, 0, 0, 0)]
