"""A projection's tables as a stranger sees them, by one statement and no code of ours.

The rows have to be the tree at the checkpoint that lies beside them, and that a position which the
catalog was really seen at (contract, 5.8). Whatever breaks, they are a tree that the source gave or
that an event led to, and never nothing again (5.7). A history has to have every version that the
events behind its resyncs made, with their times and sequences, and right behind each resync just
those versions of which the state consisted that was found.
"""

# ruff: noqa: S608  statements of the tests' own

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import asyncmy.errors
import asyncpg

from tests.faults.checker import Checker
from tests.support.contract import Ends, Event, Row, Tree, digest_of, ends_of
from tests.support.databases import fetch

NOT_YET: Final = (
    OSError,
    sqlite3.OperationalError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncmy.errors.Error,
)
"""What a look raises where there is no table yet, or no server."""


@dataclass(frozen=True)
class Kind:
    """A projection: how `category-consumer` keeps it, and where its current rows stand."""

    name: str
    command: tuple[str, ...]
    table: str
    current: str = "TRUE"


MIRROR: Final = Kind("mirror", ("mirror",), "categories")
HISTORY: Final = Kind("history", ("history",), "category_history", "valid_to IS NULL")
MAP: Final = Kind("map", ("map", "watch"), "map_categories")
KINDS: Final = (MIRROR, HISTORY, MAP)


class Seen(NamedTuple):
    """What a database holds at one moment: the checkpoint's position, and the current rows."""

    position: str
    tree: Tree


class Copy:
    """The projection `kind` of `catalog` in the database of `url`, judged with `checker`."""

    def __init__(self, kind: Kind, url: str, checker: Checker, catalog: str = "us") -> None:
        self.kind = kind
        self.url = url
        self.is_edited = False
        """Whether somebody has edited the tables by hand, and the consumer has not mended that yet."""
        self._outside = url.partition("?")[0]
        self._checker = checker
        self._catalog = catalog
        self._had_rows = False
        self._strange: dict[str, str] = {}
        self._unserved: set[str] = set()

    async def seen(self) -> Seen | None:
        """Return what the tables hold; None if there is no copy yet, or nobody to ask."""
        found = await self._found()
        if found == [] and self._had_rows and not self.is_edited:
            self._checker.found("lost", f"{self.kind.name}: its checkpoint is gone")
        if not found:
            return None
        rows = [each[3:] for each in found if each[3] is not None]
        tree = {row[0]: _row(*row) for row in rows}
        if len(tree) != len(rows):
            self._checker.found("doubled", f"{self.kind.name}: an id has two current rows")
        return Seen("-".join(str(each) for each in found[0][:3]), tree)

    async def _found(self) -> list[tuple[Any, ...]] | None:
        """Return the checkpoint beside each current row, or alone; None if that cannot be asked."""
        query = (
            "SELECT c.epoch, c.sequence, c.digest, r.id, r.parent_id, r.local_name, r.is_leaf"
            f" FROM checkpoints c LEFT JOIN {self.kind.table} r ON r.catalog = c.catalog"
            f" AND {self.kind.current}"
            f" WHERE c.projection = '{self.kind.name}' AND c.catalog = '{self._catalog}'"
        )
        try:
            return await fetch(self._outside, query)
        except NOT_YET:
            return None

    async def look(self) -> Seen | None:
        """Judge what the tables hold now."""
        if (seen := await self.seen()) is None or self.is_edited:
            return seen
        if self._had_rows and not seen.tree:
            self._checker.found("lost", f"{self.kind.name}: it was emptied at {seen.position}")
        self._had_rows = bool(seen.tree)
        if not self._checker.was_served(digest_of(seen.tree)):
            self._unserved.add(seen.position)
        if digest_of(seen.tree) != seen.position.rpartition("-")[2]:
            self._checker.found(
                "torn", f"{self.kind.name}: the rows are not those of checkpoint {seen.position}"
            )
        if not self._checker.may_have_been_at(seen.position):
            self._strange[seen.position] = self._checker.may_break
        return seen

    async def final(self) -> None:
        """Judge it at rest: equal to the state, and no effect of an event twice."""
        seen = await self.look()
        name = self.kind.name
        if seen is None or seen.position != self._checker.position:
            at = seen.position if seen else "nothing"
            self._checker.found("lost", f"{name}: at {at}, the state at {self._checker.position}")
        elif seen.tree != self._checker.tree:
            self._checker.found("diverged", f"{name}: the rows are not those of the state")
        for position, excuse in self._strange.items():
            if not excuse and not self._checker.may_have_been_at(position):
                self._checker.found("torn", f"{name}: {position} never was in the catalog")
        for position in self._unserved - self._checker.positions:
            self._checker.found("torn", f"{name}: the source never gave its rows at {position}")
        if self.kind is HISTORY:
            await self._judge_effects()
            await self._judge_versions()

    async def _judge_effects(self) -> None:
        for end in ("valid_from", "valid_to"):
            query = f"SELECT {end}_event FROM category_history WHERE {end}_event IS NOT NULL"
            effects = Counter(id_ for (id_,) in await fetch(self._outside, query))
            for id_, times in effects.items():
                if times > 1:
                    self._checker.found("doubled", f"history: {end} of {times} versions is {id_}")

    async def _judge_versions(self) -> None:
        """Judge all versions, behind each resync those that it or the events behind it made."""
        versions = await self._versions()
        for resync in await self._resyncs():
            told = f"history, behind resync {resync.number}"
            for position, sequence in resync.ends:
                valid = _valid(versions, (resync.number, sequence))
                if digest_of(valid) != position.rpartition("-")[2]:
                    self._checker.found("lost", f"{told}: its versions are not those at {position}")
            for what in _strange_marks(versions, resync):
                self._checker.found("torn", f"{told}: {what}")
            self._judge_events(versions, resync, told)

    def _judge_events(self, versions: list["Version"], resync: "Resync", told: str) -> None:
        """Judge what the events behind `resync` began and ended, and when; if all were seen."""
        found = Counter(each for version in versions if (each := version.behind(resync.number)))
        events = self._checker.between(resync.to_position, resync.last_position, _ends(found))
        if events is None:
            return
        made = Counter(_made(events))
        for version in made - found:
            self._checker.found("lost", f"{told}: {version}")
        for version in found - made:
            self._checker.found("doubled", f"{told}: {version}")
        for what in self._strange_times(versions, resync, events):
            self._checker.found("torn", f"{told}: {what}")

    def _strange_times(
        self, versions: list["Version"], resync: "Resync", events: Iterable[Event]
    ) -> Iterator[str]:
        """Yield what of `events` has another time than its own, or the one before if that is later."""
        times = defaultdict(set)
        for mark in _marks_behind(versions, resync):
            times[mark.event].add(mark.at)
        last = resync.resynced_at
        for event in events:
            id_ = event["id"]
            may_be = {max(last, time) for time in self._checker.times_of(id_)}
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
        return await fetch(self._outside, query)


class Made(NamedTuple):
    """A version of a category as far as events made it: None is an end that none of them did."""

    begun_by: str | None
    ended_by: str | None
    category: tuple[str, str, str, bool]


class Mark(NamedTuple):
    """One end of a version: made by `event`, or if that is None by the resync."""

    at: str
    event: str | None
    resync: int
    sequence: int

    @property
    def place(self) -> tuple[int, int]:
        """Where it is in the order of all that was recorded."""
        return self.resync, self.sequence


class Resync(NamedTuple):
    """A row of `history_resyncs`, as far as it is judged."""

    number: int
    resynced_at: str
    to_position: str
    first_sequence: int
    last_position: str
    last_sequence: int
    last_at: str

    @property
    def ends(self) -> list[tuple[str, int]]:
        """The state that was found, and the one that events led to: positions and sequences."""
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
    def marks(self) -> list["Mark"]:
        """Its begin, and its end if it has one."""
        return [Mark._make(self[at : at + 4]) for at in (4, 8) if self[at] is not None]

    def behind(self, resync: int) -> Made | None:
        """Return it as far as events behind this resync made it; None if they did nothing."""
        begun_by = self.valid_from_event if self.valid_from_resync == resync else None
        ended_by = self.valid_to_event if self.valid_to_resync == resync else None
        return Made(begun_by, ended_by, self[:4]) if begun_by or ended_by else None


def _marks_behind(versions: Iterable[Version], resync: Resync) -> Iterator[Mark]:
    marks = (mark for version in versions for mark in version.marks)
    return (mark for mark in marks if mark.resync == resync.number)


def _strange_marks(versions: Iterable[Version], resync: Resync) -> Iterator[str]:
    """Yield which marks are not of the sequence of their event, or not those of the resync."""
    for mark in _marks_behind(versions, resync):
        if mark.event is None:
            is_right = (mark.at, mark.sequence) == (resync.resynced_at, resync.first_sequence)
        else:
            is_right = mark.event.split("-")[1] == str(mark.sequence)
        if not is_right:
            yield str(mark)


def _valid(versions: Iterable[Version], place: tuple[int, int]) -> Tree:
    """Return the rows that were valid right behind `place`."""
    return {
        version.id: _row(*version[:4])
        for version in versions
        if version.marks[0].place <= place and not any(m.place <= place for m in version.marks[1:])
    }


def _made(events: Iterable[Event]) -> Iterator[Made]:
    """Yield the versions that `events` begin, end, or both."""
    begun: dict[str, Made] = {}
    for event in events:
        before, row = ends_of(event)
        if before is not None:
            known = begun.pop(before["id"], Made(None, None, _category(before)))
            yield known._replace(ended_by=event["id"])
        if row is not None:
            begun[row["id"]] = Made(event["id"], None, _category(row))
    yield from begun.values()


def _ends(versions: Iterable[Made]) -> dict[str, Ends]:
    """Return what each event ended and began, as `versions` have it."""
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
