"""Any history of trees, cut into batches anywhere and with resyncs anywhere, can be told again."""

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
from tests.consumers.history.history_builder import (
    TIMES,
    Publisher,
    apply,
    open_projection,
    reader_of,
    resync,
)
from tests.consumers.trees import FORESTS, Forest
from tests.support.databases import fetch

How: TypeAlias = Literal["events", "missed", "repaired", "set back"]
Moves: TypeAlias = list[tuple[How, Forest, str, list[int]]]
"""What happens, the tree that it leads to, the time, and where to cut batches."""

HOWS: st.SearchStrategy[How] = st.sampled_from(
    ["events", "events", "events", "missed", "repaired", "set back"]
)
CUTS = st.lists(st.integers(1, 10), max_size=3)
MOVES = st.lists(st.tuples(HOWS, FORESTS, st.sampled_from(TIMES[:9]), CUTS), max_size=7)


@dataclass
class Story:
    """What was done to a history, noted beside it: trees by place, and events by place."""

    publisher: Publisher
    trees: dict[tuple[int, int], Rows] = field(default_factory=dict)
    times: list[tuple[int, int, str]] = field(default_factory=list)
    events: dict[tuple[int, int], Event] = field(default_factory=dict)
    positions: dict[tuple[int, int], str] = field(default_factory=dict)
    number: int = 0

    async def play(self, history: HistoryProjection, first: Forest, moves: Moves) -> None:
        """Do it all."""
        self.publisher.events(first)
        await self._resync(history)
        states = [vars(self.publisher).copy()]
        for index, (how, forest, time, cuts) in enumerate(moves):
            if how == "set back":
                vars(self.publisher).update(states[len(forest) % len(states)])
            if how == "repaired":
                vars(self.publisher).update(epoch=f"0000000{index}", sequence=0)
            events = self.publisher.events(forest, time)
            if how == "events":
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
            place = (self.number, event.sequence)
            self.events[place] = event
            self._note(place, dict(rows), event.time, event.checkpoint.position)
        await apply(history, *cut(events, cuts))

    async def _resync(self, history: HistoryProjection) -> None:
        self.number += 1
        place, checkpoint = (self.number, self.publisher.sequence), self.publisher.checkpoint
        self._note(place, self.publisher.rows, self.publisher.time, checkpoint.position)
        await resync(history, self.publisher)

    def _note(self, place: tuple[int, int], rows: Rows, time: str, position: str) -> None:
        at = max(time, self.times[-1][2]) if self.times else time
        self.times.append((*place, at))
        self.trees[place] = rows
        self.positions[place] = position


def cut(events: list[Event], cuts: list[int]) -> Iterator[list[Event]]:
    """Yield `events` in batches of `cuts` events, and then the rest."""
    for size in cuts:
        if events:
            yield events[:size]
        events = events[size:]
    if events:
        yield events


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Give one SQLite file for all examples, each of which is a catalog of its own."""
    path = Path(tempfile.mkdtemp(prefix="cp-"))
    yield f"sqlite:///{path / 'h.sqlite'}"
    shutil.rmtree(path)


CATALOGS = count(1)
VERSIONS = """
    SELECT id, valid_from_resync, valid_from_sequence, valid_from, valid_from_event,
        valid_to_resync, valid_to_sequence, valid_to, valid_to_event
    FROM category_history WHERE catalog = '{catalog}' ORDER BY 1, 2, 3
"""


@settings(max_examples=15)
@given(FORESTS, MOVES)
async def test_what_was_can_be_told(url: str, first: Forest, moves: Moves) -> None:
    """As of each place there is the tree of then, and between any two what leads from one to it."""
    catalog = f"catalog-{next(CATALOGS)}"
    story = Story(Publisher(catalog))
    async with open_projection(url, catalog) as history:
        await story.play(history, first, moves)
        assert (await history.read())[1] == story.publisher.rows
        reader = await reader_of(history)
        await check_trees(reader, story)
        await check_times(reader, story)
        await check_changes(reader, story)
    await check_versions(url, catalog, story)


async def check_trees(reader: HistoryReader, story: Story) -> None:
    """As of each event, and of each resync, there is exactly the tree replayed until then."""
    for place, rows in story.trees.items():
        assert (
            await query.read_tree(reader, await reader.find_position(parse(story.positions[place])))
            == rows
        )
    newest = {place[1]: place for place in story.trees}
    for number, place in newest.items():
        position = await reader.find_position(EventRef(None, number))
        assert (position.resync, position.sequence) == place


async def check_times(reader: HistoryReader, story: Story) -> None:
    """Of a time the last place is meant that was recorded at it or before."""
    for time in {at for *_, at in story.times}:
        position = await reader.find_position(time)
        last = [each for each in story.times if each[2] <= time][-1]
        assert (position.resync, position.sequence, position.at) == last


async def check_changes(reader: HistoryReader, story: Story) -> None:
    """Between the first place and any other is what leads from tree to tree."""
    first, *later = story.trees
    start = reader.resyncs[0].start
    for place in later[:: max(1, len(later) // 5)]:
        until = await reader.find_position(parse(story.positions[place]))
        recorded = [each async for each in query.read_changes(reader, start, until)]
        rows = replayed(dict(story.trees[first]), recorded)
        assert rows == story.trees[until.resync, until.sequence]
        check_resyncs(recorded)
        events = [each.position.event for each in recorded if isinstance(each, RecordedChange)]
        told = [event for event in events if event is not None]
        wanted = (e for e in story.events if e <= (until.resync, until.sequence))
        assert told == [story.positions[each] for each in wanted]


def replayed(rows: dict[str, Category], recorded: list[Resync | RecordedChange]) -> Rows:
    """Return what `recorded` makes of `rows`; each `before` has to be what there is."""
    for each in recorded:
        if isinstance(each, RecordedChange):
            was = rows.pop(each.category.id, None)
            assert was == {"added": None, "removed": each.category}.get(each.type, each.before)
            if each.type != "removed":
                rows[each.category.id] = each.category
    return rows


def check_resyncs(recorded: list[Resync | RecordedChange]) -> None:
    """Each resync counts the differences that follow it."""
    for each in recorded:
        if isinstance(each, Resync):
            types = Counter(
                change.type
                for change in recorded
                if isinstance(change, RecordedChange)
                and (change.position.resync, change.position.event) == (each.number, None)
            )
            assert types == +Counter(added=each.added, updated=each.updated, removed=each.removed)


async def check_versions(url: str, catalog: str, story: Story) -> None:
    """Versions do not overlap, and each event begins or ends exactly what it says, once."""
    table = await fetch(url, VERSIONS.format(catalog=catalog))
    for one, next_ in pairwise(table):
        if one[0] == next_[0]:
            assert one[5:8] <= next_[1:4]
    begun = Counter((row[1:3], row[0], row[4]) for row in table if row[4])
    ended = Counter((row[5:7], row[0], row[8]) for row in table if row[8])
    assert begun == noted(story, "added", "updated")
    assert ended == noted(story, "updated", "removed")
    assert all(row[3] <= (row[7] or row[3]) for row in table)


def noted(story: Story, *types: str) -> Counter[Any]:
    """Return the places, ids and event ids of those of `types`."""
    return Counter(
        (place, event.category.id, event.checkpoint.position)
        for place, event in story.events.items()
        if event.type in types
    )
