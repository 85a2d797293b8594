"""Checks the tables of a projection from outside, by plain SQL.

The rows must be the tree at the checkpoint stored beside them, which must be a position that the
catalog had (contract, 5.8). Whatever breaks, they are a tree that the source served or an event led
to, and they never become empty again (5.7). A history must have every version that the events after
its resyncs made, with their times and sequences; just after each resync its valid versions are the
state that was found.
"""

# ruff: noqa: S608  statements of the tests' own

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import asyncmy.errors
import asyncpg

from tests.faults.catalog_checker import CatalogChecker
from tests.support.contract import Ends, Event, Row, Tree, digest_of, ends_of
from tests.support.databases import fetch

NOT_READY: Final = (
    OSError,
    sqlite3.OperationalError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncmy.errors.Error,
)
"""Raised by a query while there is no table yet, or no server."""


@dataclass(frozen=True)
class ProjectionKind:
    """A projection: its command, its table, and the condition of its current rows."""

    name: str
    command: tuple[str, ...]
    table: str
    current: str = "TRUE"


MIRROR: Final = ProjectionKind("mirror", ("mirror",), "categories")
HISTORY: Final = ProjectionKind("history", ("history",), "category_history", "valid_to IS NULL")
MAP: Final = ProjectionKind("map", ("map", "watch"), "map_categories")
KINDS: Final = (MIRROR, HISTORY, MAP)


class ProjectionState(NamedTuple):
    """A projection at one moment: its checkpoint's position, and its current rows."""

    position: str
    tree: Tree


class ProjectionChecker:
    """Checks the projection `kind` of `catalog` in database `url`, with `checker`."""

    def __init__(
        self, kind: ProjectionKind, url: str, checker: CatalogChecker, catalog: str = "us"
    ) -> None:
        self.kind = kind
        self.url = url
        self.is_edited = False
        """Whether somebody has edited the tables by hand and the consumer has not repaired them yet."""
        self._plain_url = url.partition("?")[0]
        self._checker = checker
        self._catalog = catalog
        self._had_rows = False
        self._unknown_positions: dict[str, str] = {}
        self._unserved_positions: set[str] = set()

    async def read(self) -> ProjectionState | None:
        """Return what the tables hold; None without tables, rows or server."""
        had_rows = self._had_rows  # another task may see the first rows while this one reads
        found = await self._read_rows()
        if found == [] and had_rows and not self.is_edited:
            self._checker.report("lost", f"{self.kind.name}: its checkpoint is missing")
        if not found:
            return None
        rows = [each[3:] for each in found if each[3] is not None]
        tree = {row[0]: _row(*row) for row in rows}
        if len(tree) != len(rows):
            self._checker.report("duplicate", f"{self.kind.name}: an id has two current rows")
        return ProjectionState("-".join(str(each) for each in found[0][:3]), tree)

    async def _read_rows(self) -> list[tuple[Any, ...]] | None:
        """Return the checkpoint beside each current row, or alone; None if unreadable."""
        query = (
            "SELECT c.epoch, c.sequence, c.digest, r.id, r.parent_id, r.local_name, r.is_leaf"
            f" FROM checkpoints c LEFT JOIN {self.kind.table} r ON r.catalog = c.catalog"
            f" AND {self.kind.current}"
            f" WHERE c.projection = '{self.kind.name}' AND c.catalog = '{self._catalog}'"
        )
        try:
            return await fetch(self._plain_url, query)
        except NOT_READY:
            return None

    async def check(self) -> ProjectionState | None:
        """Check what the tables hold now, and return it."""
        if (state := await self.read()) is None or self.is_edited:
            return state
        if self._had_rows and not state.tree:
            self._checker.report("lost", f"{self.kind.name}: it was emptied at {state.position}")
        self._had_rows = bool(state.tree)
        if not self._checker.was_served(digest_of(state.tree)):
            self._unserved_positions.add(state.position)
        if digest_of(state.tree) != state.position.rpartition("-")[2]:
            self._checker.report(
                "partial write",
                f"{self.kind.name}: the rows are not those of checkpoint {state.position}",
            )
        if not self._checker.may_have_been_at(state.position):
            self._unknown_positions[state.position] = self._checker.may_break
        return state

    async def final_check(self) -> None:
        """Check it at rest: equal to the state, and no event recorded twice."""
        state = await self.check()
        name = self.kind.name
        if state is None or state.position != self._checker.position:
            at = state.position if state else "nothing"
            self._checker.report("lost", f"{name}: at {at}, the state at {self._checker.position}")
        elif state.tree != self._checker.tree:
            self._checker.report("diverged", f"{name}: the rows are not those of the state")
        for position, excuse in self._unknown_positions.items():
            if not excuse and not self._checker.may_have_been_at(position):
                self._checker.report(
                    "partial write", f"{name}: {position} was never a position of the catalog"
                )
        for position in self._unserved_positions - self._checker.positions:
            self._checker.report(
                "partial write", f"{name}: the source never gave its rows at {position}"
            )
        if self.kind is HISTORY:
            await self._check_event_ids()
            await self._check_versions()

    async def _check_event_ids(self) -> None:
        for end in ("valid_from", "valid_to"):
            query = f"SELECT {end}_event FROM category_history WHERE {end}_event IS NOT NULL"
            effects = Counter(id_ for (id_,) in await fetch(self._plain_url, query))
            for id_, times in effects.items():
                # a server that was set back may reach the same event again, at another time
                if times > max(1, len(self._checker.event_times(id_))):
                    self._checker.report(
                        "duplicate", f"history: {end} of {times} versions is {id_}"
                    )

    async def _check_versions(self) -> None:
        """Check all versions of a history, resync by resync."""
        versions = await self._versions()
        for resync in await self._resyncs():
            where = f"history, after resync {resync.number}"
            for position, sequence in resync.ends:
                valid = _valid_rows(versions, (resync.number, sequence))
                if digest_of(valid) != position.rpartition("-")[2]:
                    self._checker.report(
                        "lost", f"{where}: its versions are not those at {position}"
                    )
            for what in _wrong_positions(versions, resync):
                self._checker.report("partial write", f"{where}: {what}")
            self._check_events(versions, resync, where)

    def _check_events(self, versions: list["Version"], resync: "Resync", where: str) -> None:
        """Check the versions that events after `resync` made, if the events are all known."""
        found = Counter(each for version in versions if (each := version.made_after(resync.number)))
        events = self._checker.events_between(
            resync.to_position, resync.last_position, _ends_by_event(found)
        )
        if events is None:
            return
        expected = Counter(_expected_versions(events))
        for version in expected - found:
            self._checker.report("lost", f"{where}: {version}")
        for version in found - expected:
            self._checker.report("duplicate", f"{where}: {version}")
        for what in self._wrong_times(versions, resync, events):
            self._checker.report("partial write", f"{where}: {what}")

    def _wrong_times(
        self, versions: list["Version"], resync: "Resync", events: Iterable[Event]
    ) -> Iterator[str]:
        """Yield the `events` recorded with a wrong time.

        Right is the event's own time, or the one recorded before it if that is later.
        """
        times = defaultdict(set)
        for position in _positions_after(versions, resync):
            times[position.event].add(position.at)
        last = resync.resynced_at
        for event in events:
            id_ = event["id"]
            may_be = {max(last, time) for time in self._checker.event_times(id_)}
            if not times[id_] <= may_be:
                yield f"{id_} was at {may_be}, not at {times[id_]}"
            last = max(times[id_], default=last)
        if resync.last_at != last:
            yield f"the last was at {last}, not at {resync.last_at}"

    async def _versions(self) -> list["Version"]:
        columns = ", ".join(Version._fields)
        return [
            Version(*row)._replace(is_leaf=bool(row[3]))
            for row in await self._fetch(columns, "category_history")
        ]

    async def _resyncs(self) -> list["Resync"]:
        columns = ", ".join(Resync._fields)
        return [Resync(*row) for row in await self._fetch(columns, "history_resyncs")]

    async def _fetch(self, columns: str, table: str) -> list[tuple[Any, ...]]:
        query = f"SELECT {columns} FROM {table} WHERE catalog = '{self._catalog}'"
        return await fetch(self._plain_url, query)


class EventVersion(NamedTuple):
    """A version as far as events made it; None is an end that no event made."""

    begun_by: str | None
    ended_by: str | None
    category: tuple[str, str, str, bool]


class RecordPosition(NamedTuple):
    """One end of a version: made by `event`, or by the resync if that is None."""

    at: str
    event: str | None
    resync: int
    sequence: int

    @property
    def order(self) -> tuple[int, int]:
        """Where it is in the order of everything recorded."""
        return self.resync, self.sequence


class Resync(NamedTuple):
    """A row of `history_resyncs`, without its counts."""

    number: int
    resynced_at: str
    to_position: str
    first_sequence: int
    last_position: str
    last_sequence: int
    last_at: str

    @property
    def ends(self) -> list[tuple[str, int]]:
        """Position and sequence of the state found, and of the last event after it."""
        first, last = self.first_sequence, self.last_sequence
        return [(self.to_position, first), (self.last_position, last)]


class Version(NamedTuple):
    """A row of `category_history`."""

    id: str
    parent_id: str
    local_name: str
    is_leaf: bool
    valid_from: str
    valid_from_event: str | None
    valid_from_resync: int
    valid_from_sequence: int
    valid_to: str | None
    valid_to_event: str | None
    valid_to_resync: int | None
    valid_to_sequence: int | None

    @property
    def positions(self) -> list["RecordPosition"]:
        """Its begin, and its end if it has one."""
        return [RecordPosition._make(self[at : at + 4]) for at in (4, 8) if self[at] is not None]

    def made_after(self, resync: int) -> EventVersion | None:
        """Return what events after `resync` made of it; None if nothing."""
        begun_by = self.valid_from_event if self.valid_from_resync == resync else None
        ended_by = self.valid_to_event if self.valid_to_resync == resync else None
        return EventVersion(begun_by, ended_by, self[:4]) if begun_by or ended_by else None


def _positions_after(versions: Iterable[Version], resync: Resync) -> Iterator[RecordPosition]:
    positions = (position for version in versions for position in version.positions)
    return (position for position in positions if position.resync == resync.number)


def _wrong_positions(versions: Iterable[Version], resync: Resync) -> Iterator[str]:
    """Yield the positions that do not match their event or the resync."""
    for position in _positions_after(versions, resync):
        if position.event is None:
            is_right = (position.at, position.sequence) == (
                resync.resynced_at,
                resync.first_sequence,
            )
        else:
            is_right = position.event.split("-")[1] == str(position.sequence)
        if not is_right:
            yield str(position)


def _valid_rows(versions: Iterable[Version], order: tuple[int, int]) -> Tree:
    """Return the rows that were valid just after `order`."""
    return {
        version.id: _row(*version[:4])
        for version in versions
        if version.positions[0].order <= order
        and not any(m.order <= order for m in version.positions[1:])
    }


def _expected_versions(events: Iterable[Event]) -> Iterator[EventVersion]:
    """Yield the versions that `events` begin, end, or both."""
    begun: dict[str, EventVersion] = {}
    for event in events:
        before, row = ends_of(event)
        if before is not None:
            known = begun.pop(before["id"], EventVersion(None, None, _category(before)))
            yield known._replace(ended_by=event["id"])
        if row is not None:
            begun[row["id"]] = EventVersion(event["id"], None, _category(row))
    yield from begun.values()


def _ends_by_event(versions: Iterable[EventVersion]) -> dict[str, Ends]:
    """Return the rows before and after each event, according to `versions`."""
    ends: dict[str, Ends] = {}
    for begun_by, ended_by, category in versions:
        row = _row(*category)
        if ended_by is not None:
            ends[ended_by] = (row, ends.get(ended_by, (None, None))[1])
        if begun_by is not None:
            ends[begun_by] = (ends.get(begun_by, (None, None))[0], row)
    return ends


def _category(row: Row) -> tuple[str, str, str, bool]:
    return row["id"], row["parent_id"], row["local_name"], row["is_leaf"]


def _row(id_: str, parent_id: str, local_name: str, is_leaf: object) -> dict[str, object]:
    return {"id": id_, "parent_id": parent_id, "local_name": local_name, "is_leaf": bool(is_leaf)}
