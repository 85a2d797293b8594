"""The user's commands and the watch at the same time: nothing slips between."""

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


class HeldProjection(MapProjection):
    """Stops in the middle of each transaction until it is let on."""

    def hold(self) -> None:
        """Stop from now on."""
        self.began, self.go_on = asyncio.Event(), asyncio.Event()

    async def apply_in(
        self, connection: AsyncConnection, events: Sequence[Event], checkpoint: Checkpoint
    ) -> None:
        """Write, and wait before the commit."""
        await super().apply_in(connection, events, checkpoint)
        self.began.set()
        await self.go_on.wait()


@asynccontextmanager
async def another_service(to: str) -> AsyncIterator[MappingService]:
    """Open the mappings once more, as another process does."""
    async with open_database(to) as opened:
        yield MappingService(opened, "us")


async def is_waiting(task: asyncio.Task[object]) -> bool:
    """Say whether `task` is not done after a moment."""
    done, _ = await asyncio.wait([task], timeout=0.2)
    return not done


async def test_a_removal_before_a_link(database_url: str) -> None:
    """A link that is asked for while the removal is written waits, and is refused."""
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
        await held.began.wait()
        linking = asyncio.create_task(service.link([LinkRequest("a", "2")]))
        assert await is_waiting(linking)
        held.go_on.set()
        await writing
        with pytest.raises(MappingRejected, match="there is no category '2'"):
            await linking
        assert await it.states() == {"a": "unlinked"}


async def test_a_removal_behind_a_link(database_url: str) -> None:
    """A removal waits for the link that is being made, and then breaks it."""
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


async def test_a_crowd(database_url: str) -> None:
    """Links and events at random: in the end each state is that of the tree."""
    choose = random.Random(3)
    rows = list(numbered(20).values())
    async with (
        open_mapping_catalog(database_url, *rows) as it,
        another_service(database_url) as service,
    ):
        await service.import_categories([OwnCategory(str(key), "A", "A") for key in range(20)])
        user = asyncio.create_task(many_links(service, choose))
        for name in range(15):
            some = choose.sample(rows, 12)
            await it.go_to(
                *(one | {"local_name": choose.choice("AB")} for one in some), row("99", str(name))
            )
        await user
        await check(it)


async def many_links(service: MappingService, choose: random.Random) -> None:
    """Try to link this and that; what is refused is refused."""
    for _ in range(30):
        try:
            await service.link([LinkRequest(str(choose.randrange(20)), str(choose.randrange(20)))])
        except MappingRejected:
            await asyncio.sleep(0)
        except StoreUnavailable as error:
            raise AssertionError("a lock was not waited for") from error


async def check(it: MappingCatalog) -> None:
    """Assert that each state is what the tree says."""
    snapshot = await it.service.read_all()
    assert len(snapshot.linked_keys) > 3
    for mapping in snapshot.mappings.values():
        category = snapshot.rows.get(mapping.linked.id) if mapping.linked else None
        assert mapping.status[:2] == evaluate(mapping.linked, category)


async def test_two_imports_at_once(database_url: str) -> None:
    """Each is done, one behind the other."""
    owns = [OwnCategory(str(key), "A", "A") for key in range(50)]
    async with open_mapping_catalog(database_url, *TREE), another_service(database_url) as service:
        done = await asyncio.gather(
            service.import_categories(owns), service.import_categories(owns)
        )
        assert sorted(done) == [(0, 0, 50, 0), (50, 0, 0, 0)]
