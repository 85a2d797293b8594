"""`HistoryReader`: the position of a time, a sequence or an event's id."""

import pytest

from consumers.errors import NotRecorded
from consumers.history.projection import HistoryProjection
from consumers.history.reader import open_history
from consumers.sql.database import open_database
from tests.consumers.history.history_builder import (
    FIRST,
    FOURTH,
    SECOND,
    THIRD,
    TIMES,
    Publisher,
    apply,
    open_projection,
    record_example,
    resync,
    tree_at,
)
from tests.support.messages import whole


async def test_a_tree_at_each_moment(database_url: str) -> None:
    """A time, a sequence and an event id find the tree as it was then."""
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
            assert await tree_at(history, text) == wanted
        part = await tree_at(history, "6")
        assert part == {**SECOND, "3": FIRST["3"]}


NOT_RECORDED = ("2", "8", "13", "00000000-4", "9f3c1a2b-4-" + "0" * 16)


async def test_a_point_that_is_not_recorded(database_url: str) -> None:
    """A point that is not recorded is rejected; the message says what is."""
    async with open_projection(database_url) as history:
        await record_example(history)
        for text in ("2026-11-23", "2026-11-23T08:59:59Z", *NOT_RECORDED):
            with pytest.raises(NotRecorded) as refused:
                await tree_at(history, text)
            assert str(refused.value).endswith(
                "the recorded history of this catalog: it covers 2026-11-23T09:00:00.000Z to "
                "2026-11-23T09:15:00.000Z, sequences 9f3c1a2b-3 to 7, 9f3c1a2b-11 to 12"
            )


async def test_a_failover_brings_sequences_back(database_url: str) -> None:
    """Of two events with one sequence the newer is found, unless a digest is given."""
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
        assert await tree_at(history, "9f3c1a2b-4") == {**FIRST, "1": SECOND["1"]}
        assert (await tree_at(history, lost[1].checkpoint.position)).keys() == FIRST.keys()
        assert await tree_at(history, lost[3].checkpoint.position) == SECOND
        assert await tree_at(history, "7") == SECOND


async def test_no_history(database_url: str) -> None:
    """The error for a database without a history of the catalog says what to do."""
    async with open_database(database_url) as store:
        for _ in range(2):
            with pytest.raises(
                NotRecorded,
                match=whole(
                    "<any>: there is no history of catalog us: run `category-consumer history "
                    "us --to … --once` first"
                ),
            ):
                await open_history(store, "us")
            await HistoryProjection(store, "us").load()
