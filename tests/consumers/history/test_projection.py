"""`history` in each database: what is in its tables, and what is told of them."""

from typing import Any

import pytest

from consumers.commands.history import show_changes, show_tree
from consumers.contract.history_point import parse
from consumers.contract.model import Rows
from consumers.errors import NotRecorded, StoreError, StoreTaken
from consumers.history import query
from consumers.history.projection import HistoryProjection
from consumers.history.query import RecordedChange
from consumers.history.reader import open_history
from consumers.history.store import Resync
from consumers.sql.database import open_database
from plumbing.errors import ConfigError
from tests.consumers.history.history_builder import (
    FIRST,
    FOURTH,
    SECOND,
    THIRD,
    TIMES,
    Publisher,
    apply,
    open_projection,
    reader_of,
    record_example,
    resync,
    rows,
)
from tests.consumers.pretend_publisher import row
from tests.support.databases import execute, fetch


class Notes:
    """A screen that remembers."""

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.seen: list[Resync | RecordedChange] = []

    def tree(self, rows: Rows) -> None:
        """Note a tree."""
        self.rows = rows

    def recorded(self, what: Resync | RecordedChange) -> None:
        """Note what was recorded."""
        self.seen.append(what)

    def flush(self) -> None:
        """Nothing is held back."""


async def tree(history: HistoryProjection, text: str) -> Rows:
    """Return the tree as of the moment `text`."""
    notes = Notes()
    await show_tree(await reader_of(history), notes, parse(text))
    return notes.rows


async def between(
    history: HistoryProjection, after: str, until: str
) -> list[Resync | RecordedChange]:
    """Return what was recorded between two moments."""
    notes = Notes()
    await show_changes(await reader_of(history), notes, parse(after), parse(until))
    return notes.seen


async def test_the_tables(database_url: str) -> None:
    """Each version has both its ends, and each resync what it found and how far it led."""
    async with open_projection(database_url) as history:
        await record_example(history)
    versions = await fetch(
        database_url,
        "SELECT id, local_name, valid_from, valid_from_resync, valid_from_sequence,"
        " valid_to, valid_to_resync, valid_to_sequence FROM category_history"
        " WHERE catalog = 'us' ORDER BY valid_from_resync, valid_from_sequence, id",
    )
    at0, at5, at10, at15 = (TIMES[minute] for minute in (0, 5, 10, 15))
    assert versions == [
        ("1", "Home", at0, 1, 3, at5, 1, 4),
        ("2", "Garden", at0, 1, 3, at5, 1, 5),
        ("3", "Toys", at0, 1, 3, at5, 1, 7),
        ("1", "Home & Garden", at5, 1, 4, at10, 2, 11),
        ("2", "Garden", at5, 1, 5, at10, 2, 11),
        ("4", "Roses", at5, 1, 6, at10, 2, 11),
        ("1", "Home", at10, 2, 11, None, None, None),
        ("4", "Roses", at10, 2, 11, None, None, None),
        ("5", "Tulips", at10, 2, 11, at15, 2, 12),
    ]
    resyncs = await fetch(
        database_url,
        "SELECT number, resynced_at, added, updated, removed, epoch, first_sequence,"
        " last_sequence, last_at FROM history_resyncs ORDER BY number",
    )
    assert resyncs == [
        (1, at0, 3, 0, 0, "9f3c1a2b", 3, 7, at5),
        (2, at10, 1, 2, 1, "9f3c1a2b", 11, 12, at15),
    ]


async def test_event_ids(database_url: str) -> None:
    """An event's id stands at what it ended and began; a resync has positions instead."""
    async with open_projection(database_url) as history:
        publisher = Publisher()
        publisher.events(FIRST)
        begin = publisher.position
        await resync(history, publisher)
        events = publisher.events(SECOND)
        await apply(history, events)
        await resync(history, publisher)
    ids = await fetch(
        database_url,
        "SELECT valid_from_event, valid_to_event FROM category_history WHERE id = '1'"
        " ORDER BY valid_from_sequence",
    )
    first = events[0].checkpoint.position
    assert ids == [(None, first), (first, None)]
    positions = await fetch(
        database_url,
        "SELECT from_position, to_position, last_position FROM history_resyncs ORDER BY number",
    )
    end = publisher.position
    assert positions == [(None, begin, end), (end, end, end)]


async def test_a_tree_at_each_moment(database_url: str) -> None:
    """By time, by sequence and by event id there is the tree of then."""
    async with open_projection(database_url) as history:
        publisher = await record_example(history)
        for text, wanted in {
            "2026-11-23T09:04:59.999Z": FIRST,
            "2026-11-23T10:05+01:00": SECOND,
            TIMES[9]: SECOND,
            TIMES[10]: THIRD,
            "2030-01-01": FOURTH,
            "3": FIRST,
            "7": SECOND,
            "9f3c1a2b-11": THIRD,
            publisher.position: FOURTH,
        }.items():
            assert await tree(history, text) == wanted
        part = await tree(history, "6")
        assert part == {**SECOND, "3": FIRST["3"]}


NOWHERE = ("2", "8", "13", "00000000-4", "9f3c1a2b-4-" + "0" * 16)


async def test_what_is_not_recorded(database_url: str) -> None:
    """What was before the record or missed is refused, and the message says what there is."""
    async with open_projection(database_url) as history:
        await record_example(history)
        for text in ("2026-11-23", "2026-11-23T08:59:59Z", *NOWHERE):
            with pytest.raises(NotRecorded) as refused:
                await tree(history, text)
            assert str(refused.value).endswith(
                "the recorded history of this catalog: it covers 2026-11-23T09:00:00.000Z to "
                "2026-11-23T09:15:00.000Z, sequences 9f3c1a2b-3 to 7, 9f3c1a2b-11 to 12"
            )


async def test_what_changed(database_url: str) -> None:
    """Events come in their order, and a resync before the differences that it found."""
    async with open_projection(database_url) as history:
        await record_example(history)
        seen = await between(history, "5", "2030-01-01")
        assert [told(each) for each in seen] == [
            ("added", "4", 6),
            ("removed", "3", 7),
            (2, 1, 2, 1),
            ("added", "5", 11),
            ("updated", "1", 11),
            ("updated", "4", 11),
            ("removed", "2", 11),
            ("removed", "5", 12),
        ]
        assert await between(history, "9f3c1a2b-12", TIMES[20]) == []
        assert len(await between(history, TIMES[0], TIMES[5])) == 4


def told(each: Resync | RecordedChange) -> tuple[Any, ...]:
    if isinstance(each, Resync):
        return each.number, each.added, each.updated, each.removed
    return each.type, each.category.id, each.position.sequence


@pytest.mark.parametrize(("after", "until"), [("5", "4"), ("11", TIMES[5]), (TIMES[30], TIMES[20])])
async def test_the_wrong_way_round(to: str, after: str, until: str) -> None:
    """The earlier moment comes first, even where both mean the record's end."""
    async with open_projection(to) as history:
        await record_example(history)
        with pytest.raises(ConfigError, match=f"^--between: {after} is after {until}: name the"):
            await between(history, after, until)


async def test_a_failover_brings_sequences_back(database_url: str) -> None:
    """Of what came twice the newer is meant, unless the whole event id names the older."""
    async with open_projection(database_url) as history:
        publisher = Publisher()
        publisher.events(FIRST)
        await resync(history, publisher)
        state = vars(publisher).copy()
        lost = publisher.events(SECOND, TIMES[1])
        await apply(history, lost)
        vars(publisher).update(state)
        await resync(history, publisher)
        await apply(history, publisher.events({**FIRST, "1": SECOND["1"]}, TIMES[2]))
        assert await tree(history, "9f3c1a2b-4") == {**FIRST, "1": SECOND["1"]}
        assert (await tree(history, lost[1].checkpoint.position)).keys() == FIRST.keys()
        assert await tree(history, lost[3].checkpoint.position) == SECOND
        assert await tree(history, "7") == SECOND


async def test_a_clock_that_was_set_back(database_url: str) -> None:
    """Nothing is recorded before what was recorded before it, by an event or by a resync."""
    async with open_projection(database_url) as history:
        publisher = Publisher()
        publisher.events(FIRST, TIMES[30])
        await resync(history, publisher)
        await apply(history, publisher.events(SECOND, TIMES[10]))
        publisher.events(THIRD, TIMES[20])
        await resync(history, publisher)
        await apply(history, publisher.events(FOURTH, TIMES[40]))
        assert await tree(history, TIMES[30]) == THIRD
        assert await tree(history, TIMES[40]) == FOURTH
        assert await tree(history, "7") == SECOND
    times = await fetch(database_url, "SELECT DISTINCT valid_from FROM category_history")
    assert times == [(TIMES[30],)]


async def test_a_resync_without_differences(database_url: str) -> None:
    """It is recorded as such, and nothing begins or ends."""
    async with open_projection(database_url) as history:
        publisher = Publisher()
        publisher.events(FIRST)
        await resync(history, publisher)
        publisher.epoch, publisher.sequence, publisher.time = "00000001", 0, TIMES[1]
        await resync(history, publisher)
        assert [told(each) for each in await between(history, "3", "0")] == [(2, 0, 0, 0)]
        assert await tree(history, "0") == await tree(history, "3") == FIRST
    assert await fetch(database_url, "SELECT count(*) FROM category_history") == [(3,)]


async def test_catalogs_side_by_side(database_url: str) -> None:
    """Each catalog of a database has a history of its own."""
    async with (
        open_projection(database_url) as ours,
        open_projection(database_url, "uk-en") as theirs,
    ):
        await record_example(ours)
        publisher = Publisher("uk-en")
        publisher.events(rows(row("1", "Toys & Games")), TIMES[20])
        await resync(theirs, publisher)
        assert await tree(ours, TIMES[30]) == FOURTH
        assert await tree(theirs, TIMES[30]) == rows(row("1", "Toys & Games"))
        with pytest.raises(NotRecorded):
            await tree(theirs, TIMES[5])


async def test_no_history(database_url: str) -> None:
    """A database without a history, or without one of this catalog, says what to do."""
    async with open_database(database_url) as store:
        for _ in range(2):
            with pytest.raises(NotRecorded, match="run `category-consumer history us --to"):
                await open_history(store, "us")
            await HistoryProjection(store, "us").load()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE category_history SET local_name = 'mine' WHERE valid_to IS NULL AND id = '4'",
        "DELETE FROM category_history WHERE valid_to IS NULL",
        "DELETE FROM category_history",
        "DELETE FROM history_resyncs",
        "DELETE FROM checkpoints",
        "UPDATE checkpoints SET sequence = 5",
    ],
)
async def test_a_record_that_was_changed(database_url: str, statement: str) -> None:
    """When a consumer starts, it becomes right by a resync of a number of its own."""
    async with open_projection(database_url) as history:
        publisher = await record_example(history)
    await execute(database_url, statement)
    async with open_projection(database_url) as history:
        assert await history.load() is None
        await resync(history, publisher)
        assert await history.load() == publisher.checkpoint
        assert (await history.read())[1] == await tree(history, "2030-01-01") == FOURTH
        await apply(history, publisher.events(THIRD, TIMES[20]))
        assert await tree(history, "2030-01-01") == THIRD
    number = "SELECT max(valid_from_resync), max(number) FROM category_history, history_resyncs"
    assert await fetch(database_url, number) == [(3, 3)]


async def test_a_version_inserted_by_hand(database_url: str) -> None:
    """A second version of a category that is valid now ends with the resync."""
    async with open_projection(database_url) as history:
        publisher = await record_example(history)
    await execute(
        database_url,
        "INSERT INTO category_history (catalog, id, parent_id, local_name, is_leaf, valid_from,"
        " valid_from_resync, valid_from_sequence)"
        " VALUES ('us', '4', '0', 'x', '1', '2026-11-23T09:00:00.000Z', 1, 1)",
    )
    async with open_projection(database_url) as history:
        await resync(history, publisher)
        assert (await history.read())[1] == FOURTH
        assert await tree(history, "2030-01-01") == FOURTH


async def test_resyncs_deleted_meanwhile(database_url: str) -> None:
    """Without the resync that events are behind, nothing is written, and the line says it."""
    async with open_projection(database_url) as history:
        publisher = await record_example(history)
        await execute(database_url, "DELETE FROM history_resyncs")
        with pytest.raises(StoreError, match="from history_resyncs: start this consumer again"):
            await apply(history, publisher.events(THIRD))
        assert (await history.read())[1] == FOURTH


async def test_two_consumers(database_url: str) -> None:
    """The second to write is refused, and the record has each event once."""
    async with open_projection(database_url) as one, open_projection(database_url) as other:
        publisher = await record_example(one)
        await other.load()
        events = publisher.events(THIRD, TIMES[20])
        await apply(one, events)
        with pytest.raises(StoreTaken, match="another consumer writes to this store's history"):
            await apply(other, events)
        assert len(await between(one, "12", "2030-01-01")) == len(events)


async def test_more_than_is_read_at_once(to: str) -> None:
    """A long stretch of events comes in order, none left out and none twice."""
    async with open_projection(to) as history:
        publisher = Publisher()
        publisher.events(rows(row("1", "0")))
        await resync(history, publisher)
        events = [
            event
            for number in range(1, query.BATCH + 10)
            for event in publisher.events(rows(row("1", f"{number}")))
        ]
        await apply(history, events)
        seen = await between(history, "1", "2030-01-01")
        assert [
            each.position.sequence for each in seen if isinstance(each, RecordedChange)
        ] == list(range(2, query.BATCH + 11))
        assert await tree(history, "9000") == rows(row("1", "8999"))


async def test_large_resyncs(database_url: str) -> None:
    """Every category may differ, more of them than a statement takes parameters."""
    async with open_projection(database_url) as history:
        publisher = Publisher()
        for name in ("a", "b"):
            publisher.events(rows(*(row(str(id_), name) for id_ in range(1, 4_001))))
            await resync(history, publisher)
        assert (await history.read())[1] == publisher.rows
        assert len(await tree(history, "4000")) == 4_000
