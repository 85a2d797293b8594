"""A catalog in a database, with the user's mappings, without Redis: its events come by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from consumers.contract.model import Category, Checkpoint, Event, Snapshot
from consumers.mapping.linking import LinkRequest
from consumers.mapping.model import CategoryMapping, OwnCategory
from consumers.mapping.projection import MapProjection
from consumers.mapping.service import MappingService
from consumers.sql.database import Database, open_database
from tests.consumers.pretend_publisher import TIME, History, Row, row, tree
from tests.consumers.trees import decoded

HOME = row("1", "Home", is_leaf=False)
MUGS, CUPS = row("2", "Mugs", "1"), row("3", "Cups", "1")
TOYS = row("4", "Toys")
TREE = (HOME, MUGS, CUPS, TOYS)


class MappingCatalog:
    """The mappings of `us` in a database, the projection that watches them, and the history."""

    def __init__(self, opened: Database) -> None:
        self.service = MappingService(opened, "us")
        self.projection = MapProjection(opened, "us")
        self.history = History()

    @property
    def checkpoint(self) -> Checkpoint:
        """Where the history is."""
        history = self.history
        return Checkpoint(history.epoch, history.sequence, "1-1", f"{history.digest:016x}")

    def events(self, *rows: Row) -> list[Event]:
        """Return the events that make `rows` the tree."""
        return decoded(self.history.go_to(tree(*rows)))

    async def go_to(self, *rows: Row) -> list[Event]:
        """Let the tree become `rows`, by events, and return them."""
        events = self.events(*rows)
        await self.projection.apply(events, self.checkpoint)
        return events

    async def jump_to(self, *rows: Row) -> None:
        """Let the tree become `rows`, by a resync."""
        self.history.go_to(tree(*rows))
        rows_ = {one["id"]: Category(**one) for one in rows}
        await self.projection.reset(Snapshot(rows_, TIME), self.checkpoint)

    async def import_own(self, **owns: str) -> None:
        """Import own categories: key=name."""
        await self.service.import_categories(
            [OwnCategory(key, name, name) for key, name in owns.items()]
        )

    async def link(self, *, replace: bool = False, **ids: str) -> list[CategoryMapping]:
        """Link own categories: key=id."""
        requests = [LinkRequest(key, id_) for key, id_ in ids.items()]
        return await self.service.link(requests, replace=replace)

    async def states(self) -> dict[str, str]:
        """Return key → state, and the reason if there is one."""
        snapshot = await self.service.read_all()
        told = {key: each.status for key, each in snapshot.mappings.items()}
        return {key: f"{each.state}: {each.reason}".rstrip(": ") for key, each in told.items()}

    async def mapping(self, key: str) -> CategoryMapping:
        """Return one mapping."""
        return (await self.service.read_all()).mappings[key]


@asynccontextmanager
async def open_mapping_catalog(to: str, *rows: Row) -> AsyncIterator[MappingCatalog]:
    """Open the mappings in database `to`; with `rows`, the tree becomes them first."""
    async with open_database(to) as opened:
        made = MappingCatalog(opened)
        await made.projection.load()
        if rows:
            await made.jump_to(*rows)
        yield made


def without(*gone: Row) -> list[Row]:
    """Return the rows of TREE but `gone`."""
    return [one for one in TREE if one not in gone]


def changed(one: Row, **fields: Any) -> list[Row]:
    """Return TREE with other fields in `one`."""
    return [each | fields if each is one else each for each in TREE]
