"""The tables of the history."""

import pytest

from tests.consumers.history.history_builder import (
    FIRST,
    SECOND,
    TIMES,
    Publisher,
    apply,
    open_projection,
    record_example,
    resync,
)
from tests.support.databases import fetch


@pytest.mark.contract("8")
async def test_the_tables(database_url: str) -> None:
    """Each version has its begin and end, each resync its counts and last event."""
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


@pytest.mark.contract("8")
async def test_event_ids(database_url: str) -> None:
    """Versions have the ids of their events, resyncs have positions."""
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
