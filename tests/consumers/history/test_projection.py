"""`HistoryProjection` in each database: the rows it writes and repairs."""

import pytest

from consumers.errors import CheckpointConflict, StoreError
from tests.consumers.history.history_builder import (
    FIRST,
    FOURTH,
    SECOND,
    THIRD,
    TIMES,
    Publisher,
    apply,
    changes_between,
    open_projection,
    record_example,
    resync,
    summary,
    tree_at,
)
from tests.support.databases import execute, fetch
from tests.support.messages import whole


async def test_a_clock_that_was_set_back(database_url: str) -> None:
    """Recorded times never go back, neither by an event nor by a resync."""
    async with open_projection(database_url) as history:
        publisher = Publisher()
        publisher.events(FIRST, TIMES[30])
        await resync(history, publisher)
        await apply(history, publisher.events(SECOND, TIMES[10]))
        publisher.events(THIRD, TIMES[20])
        await resync(history, publisher)
        await apply(history, publisher.events(FOURTH, TIMES[40]))
        assert await tree_at(history, TIMES[30]) == THIRD
        assert await tree_at(history, TIMES[40]) == FOURTH
        assert await tree_at(history, "7") == SECOND
    times = await fetch(database_url, "SELECT DISTINCT valid_from FROM category_history")
    assert times == [(TIMES[30],)]


async def test_a_resync_without_differences(database_url: str) -> None:
    """The resync is recorded, and no version begins or ends."""
    async with open_projection(database_url) as history:
        publisher = Publisher()
        publisher.events(FIRST)
        await resync(history, publisher)
        publisher.epoch, publisher.sequence, publisher.time = "00000001", 0, TIMES[1]
        await resync(history, publisher)
        assert [summary(each) for each in await changes_between(history, "3", "0")] == [
            (2, 0, 0, 0)
        ]
        assert await tree_at(history, "0") == await tree_at(history, "3") == FIRST
    assert await fetch(database_url, "SELECT count(*) FROM category_history") == [(3,)]


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
async def test_tables_changed_by_somebody_else(database_url: str, statement: str) -> None:
    """A consumer that starts finds it, and repairs it by a resync with a new number."""
    async with open_projection(database_url) as history:
        publisher = await record_example(history)
    await execute(database_url, statement)
    async with open_projection(database_url) as history:
        assert await history.load() is None
        await resync(history, publisher)
        assert await history.load() == publisher.checkpoint
        assert (await history.read())[1] == await tree_at(history, "2030-01-01") == FOURTH
        await apply(history, publisher.events(THIRD, TIMES[20]))
        assert await tree_at(history, "2030-01-01") == THIRD
    number = "SELECT max(valid_from_resync), max(number) FROM category_history, history_resyncs"
    assert await fetch(database_url, number) == [(3, 3)]


async def test_a_version_inserted_by_hand(database_url: str) -> None:
    """A second valid version of a category ends with the resync."""
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
        assert await tree_at(history, "2030-01-01") == FOURTH


async def test_resyncs_deleted_meanwhile(database_url: str) -> None:
    """Without the resync before the events nothing is written, and the error says why."""
    async with open_projection(database_url) as history:
        publisher = await record_example(history)
        await execute(database_url, "DELETE FROM history_resyncs")
        with pytest.raises(
            StoreError,
            match=whole(
                "<any>: somebody deleted the resyncs of catalog us from history_resyncs: "
                "restart this consumer, and it will resync"
            ),
        ):
            await apply(history, publisher.events(THIRD))
        assert (await history.read())[1] == FOURTH


@pytest.mark.contract("5.8")
async def test_two_consumers(database_url: str) -> None:
    """The second one to write is rejected, and each event is recorded once."""
    async with open_projection(database_url) as one, open_projection(database_url) as other:
        publisher = await record_example(one)
        await other.load()
        events = publisher.events(THIRD, TIMES[20])
        await apply(one, events)
        with pytest.raises(
            CheckpointConflict,
            match=whole(
                "<any>: another consumer writes to this database's history of catalog us: stop "
                "one of the two"
            ),
        ):
            await apply(other, events)
        assert len(await changes_between(one, "12", "2030-01-01")) == len(events)
