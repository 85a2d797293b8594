"""Properties of any recorded history, with any batches and resyncs."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.contract.history_point import EventRef, parse
from consumers.contract.model import Category, Event, Rows
from consumers.history import query
from consumers.history.projection import HistoryProjection
from consumers.history.query import RecordedChange
from consumers.history.reader import HistoryReader
from consumers.history.store import Resync
from tests.consumers.event_histories import FORESTS, Forest
from tests.consumers.history.history_builder import (
    TIMES,
    Publisher,
    apply,
    open_projection,
    reader_of,
    resync,
)
from tests.support.databases import fetch

Way: TypeAlias = Literal["events", "missed", "repaired", "set back"]
Steps: TypeAlias = list[tuple[Way, Forest, str, list[int]]]
"""The way to the next tree, that tree, the time, and the sizes of batches."""

WAYS: st.SearchStrategy[Way] = st.sampled_from(
    ["events", "events", "events", "missed", "repaired", "set back"]
)
CUTS = st.lists(st.integers(1, 10), max_size=3)
STEPS = st.lists(st.tuples(WAYS, FORESTS, st.sampled_from(TIMES[:9]), CUTS), max_size=7)


@dataclass
class Scenario:
    """Records a history and keeps what it must contain, by (resync, sequence)."""

    publisher: Publisher
    trees: dict[tuple[int, int], Rows] = field(default_factory=dict)
    times: list[tuple[int, int, str]] = field(default_factory=list)
    events: dict[tuple[int, int], Event] = field(default_factory=dict)
    positions: dict[tuple[int, int], str] = field(default_factory=dict)
    number: int = 0

    async def run(self, history: HistoryProjection, first: Forest, steps: Steps) -> None:
        """Record the state `first`, then all `steps`."""
        self.publisher.events(first)
        await self._resync(history)
        states = [vars(self.publisher).copy()]
        for index, (way, forest, time, cuts) in enumerate(steps):
            if way == "set back":
                vars(self.publisher).update(states[len(forest) % len(states)])
            if way == "repaired":
                vars(self.publisher).update(epoch=f"0000000{index}", sequence=0)
            events = self.publisher.events(forest, time)
            if way == "events":
                await self._apply(history, events, cuts)
            else:
                await self._resync(history)
            states.append(vars(self.publisher).copy())

    async def _apply(
        self, history: HistoryProjection, events: list[Event], cuts: list[int]
    ) -> None:
        rows = dict((await history.read())[1])
        for event in events:
            rows.pop(event.category.id, None)
            if event.type != "removed":
                rows[event.category.id] = event.category
            key = (self.number, event.sequence)
            self.events[key] = event
            self._expect(key, dict(rows), event.time, event.checkpoint.position)
        await apply(history, *cut(events, cuts))

    async def _resync(self, history: HistoryProjection) -> None:
        self.number += 1
        key, checkpoint = (self.number, self.publisher.sequence), self.publisher.checkpoint
        self._expect(key, self.publisher.rows, self.publisher.time, checkpoint.position)
        await resync(history, self.publisher)

    def _expect(self, key: tuple[int, int], rows: Rows, time: str, position: str) -> None:
        at = max(time, self.times[-1][2]) if self.times else time
        self.times.append((*key, at))
        self.trees[key] = rows
        self.positions[key] = position


def cut(events: list[Event], cuts: list[int]) -> Iterator[list[Event]]:
    """Yield `events` in batches of the sizes `cuts`, and then the rest."""
    for size in cuts:
        if events:
            yield events[:size]
        events = events[size:]
    if events:
        yield events


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Return the URL of one SQLite file; each example is a catalog of its own in it."""
    path = Path(tempfile.mkdtemp(prefix="cp-"))
    yield f"sqlite:///{path / 'h.sqlite'}"
    shutil.rmtree(path)


CATALOGS = count(1)
VERSIONS = """
    SELECT id, valid_from_resync, valid_from_sequence, valid_from, valid_from_event,
        valid_to_resync, valid_to_sequence, valid_to, valid_to_event
    FROM category_history WHERE catalog = '{catalog}' ORDER BY 1, 2, 3
"""


@pytest.mark.contract("5.8")
@settings(max_examples=15)
@given(FORESTS, STEPS)
async def test_any_history_can_be_read_back(url: str, first: Forest, steps: Steps) -> None:
    """Each position has its tree; the changes between two lead from tree to tree."""
    catalog = f"catalog-{next(CATALOGS)}"
    scenario = Scenario(Publisher(catalog))
    async with open_projection(url, catalog) as history:
        await scenario.run(history, first, steps)
        assert (await history.read())[1] == scenario.publisher.rows
        reader = await reader_of(history)
        await check_trees(reader, scenario)
        await check_times(reader, scenario)
        await check_changes(reader, scenario)
    await check_versions(url, catalog, scenario)


async def check_trees(reader: HistoryReader, scenario: Scenario) -> None:
    """Check that the tree at each event and resync is the one replayed until then."""
    for key, rows in scenario.trees.items():
        position = await reader.find_position(parse(scenario.positions[key]))
        assert await query.read_tree(reader, position) == rows
    newest = {key[1]: key for key in scenario.trees}
    for sequence, key in newest.items():
        position = await reader.find_position(EventRef(None, sequence))
        assert (position.resync, position.sequence) == key


async def check_times(reader: HistoryReader, scenario: Scenario) -> None:
    """Check that a time means the last position recorded at it or before."""
    for time in {at for *_, at in scenario.times}:
        position = await reader.find_position(time)
        last = [each for each in scenario.times if each[2] <= time][-1]
        assert (position.resync, position.sequence, position.at) == last


async def check_changes(reader: HistoryReader, scenario: Scenario) -> None:
    """Check that changes from the first position to any other lead from tree to tree."""
    first, *later = scenario.trees
    start = reader.resyncs[0].start
    for key in later[:: max(1, len(later) // 5)]:
        until = await reader.find_position(parse(scenario.positions[key]))
        recorded = [each async for each in query.read_changes(reader, start, until)]
        rows = replayed(dict(scenario.trees[first]), recorded)
        assert rows == scenario.trees[until.resync, until.sequence]
        check_resyncs(recorded)
        events = [each.position.event for each in recorded if isinstance(each, RecordedChange)]
        found = [event for event in events if event is not None]
        wanted = (e for e in scenario.events if e <= (until.resync, until.sequence))
        assert found == [scenario.positions[each] for each in wanted]


def replayed(rows: dict[str, Category], recorded: list[Resync | RecordedChange]) -> Rows:
    """Return `rows` after `recorded`; each `before` must be the present row."""
    for each in recorded:
        if isinstance(each, RecordedChange):
            was = rows.pop(each.category.id, None)
            assert was == {"added": None, "removed": each.category}.get(each.type, each.before)
            if each.type != "removed":
                rows[each.category.id] = each.category
    return rows


def check_resyncs(recorded: list[Resync | RecordedChange]) -> None:
    """Check that each resync counts the differences that follow it."""
    for each in recorded:
        if isinstance(each, Resync):
            types = Counter(
                change.type
                for change in recorded
                if isinstance(change, RecordedChange)
                and (change.position.resync, change.position.event) == (each.number, None)
            )
            assert types == +Counter(added=each.added, updated=each.updated, removed=each.removed)


async def check_versions(url: str, catalog: str, scenario: Scenario) -> None:
    """Check that versions do not overlap and each event is recorded once."""
    table = await fetch(url, VERSIONS.format(catalog=catalog))
    for one, next_ in pairwise(table):
        if one[0] == next_[0]:
            assert one[5:8] <= next_[1:4]
    begun = Counter((row[1:3], row[0], row[4]) for row in table if row[4])
    ended = Counter((row[5:7], row[0], row[8]) for row in table if row[8])
    assert begun == expected(scenario, "added", "updated")
    assert ended == expected(scenario, "updated", "removed")
    assert all(row[3] <= (row[7] or row[3]) for row in table)


def expected(scenario: Scenario, *types: str) -> Counter[Any]:
    """Return position, category id and event id of each event of `types`."""
    return Counter(
        (key, event.category.id, event.checkpoint.position)
        for key, event in scenario.events.items()
        if event.type in types
    )
