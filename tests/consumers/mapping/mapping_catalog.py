"""A catalog and a user's mappings in a database, without Redis."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from consumers.contract.model import Category, Checkpoint, Event, Snapshot
from consumers.mapping.linking import LinkRequest
from consumers.mapping.model import CategoryMapping, OwnCategory
from consumers.mapping.projection import MapProjection
from consumers.mapping.service import MappingService
from consumers.sql.database import Database, open_database
from tests.consumers.event_histories import decoded
from tests.consumers.pretend_publisher import TIME, History, Row, row, tree

HOME = row("1", "Home", is_leaf=False)
MUGS, CUPS = row("2", "Mugs", "1"), row("3", "Cups", "1")
TOYS = row("4", "Toys")
TREE = (HOME, MUGS, CUPS, TOYS)

DRESSES = [
    Category("1", "0", "Womenswear", is_leaf=False),
    Category("2", "1", "Women's Dresses", is_leaf=False),
    Category("3", "2", "Evening Gowns", is_leaf=True),
    Category("4", "1", "Dresses", is_leaf=True),
    Category("5", "0", "Toys", is_leaf=False),
    Category("6", "5", "Doll Dresses", is_leaf=True),
    Category("7", "5", "Doll Dresses", is_leaf=True),
    Category("8", "2", "Other", is_leaf=False),
    Category("9", "8", "Dresses for Weddings", is_leaf=True),
]
"""The rows of a tree in which several categories have similar names."""


class MappingCatalog:
    """The mappings of `us` in a database, their projection, and the catalog's history."""

    def __init__(self, opened: Database) -> None:
        self.service = MappingService(opened, "us")
        self.projection = MapProjection(opened, "us")
        self.history = History()

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint of a consumer that has the whole history."""
        history = self.history
        return Checkpoint(history.epoch, history.sequence, "1-1", f"{history.digest:016x}")

    def events(self, *rows: Row) -> list[Event]:
        """Return the events that make `rows` the tree, without applying them."""
        return decoded(self.history.go_to(tree(*rows)))

    async def go_to(self, *rows: Row) -> list[Event]:
        """Change the tree to `rows` by events, and return them."""
        events = self.events(*rows)
        await self.projection.apply(events, self.checkpoint)
        return events

    async def jump_to(self, *rows: Row) -> None:
        """Change the tree to `rows` by a resync."""
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
        """Return the state of each key, such as `broken: removed`."""
        snapshot = await self.service.read_all()
        statuses = {key: each.status for key, each in snapshot.mappings.items()}
        return {key: f"{each.state}: {each.reason}".rstrip(": ") for key, each in statuses.items()}

    async def mapping(self, key: str) -> CategoryMapping:
        """Return the mapping of `key`."""
        return (await self.service.read_all()).mappings[key]


@asynccontextmanager
async def open_mapping_catalog(to: str, *rows: Row) -> AsyncIterator[MappingCatalog]:
    """Open the mappings in database `to`; `rows` are the tree, if given."""
    async with open_database(to) as opened:
        made = MappingCatalog(opened)
        await made.projection.load()
        if rows:
            await made.jump_to(*rows)
        yield made


def without(*gone: Row) -> list[Row]:
    """Return the rows of TREE without `gone`."""
    return [one for one in TREE if one not in gone]


def changed(one: Row, **fields: Any) -> list[Row]:
    """Return the rows of TREE with other fields in `one`."""
    return [each | fields if each is one else each for each in TREE]
