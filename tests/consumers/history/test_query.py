"""`read_changes`: what changed between two positions, in order."""

from consumers.history import query
from consumers.history.query import RecordedChange
from tests.consumers.history.history_builder import (
    TIMES,
    Publisher,
    apply,
    changes_between,
    open_projection,
    record_example,
    resync,
    rows,
    summary,
    tree_at,
)
from tests.consumers.pretend_publisher import row


async def test_changes_between_two_points(database_url: str) -> None:
    """Events come in their order, and a resync before the differences it found."""
    async with open_projection(database_url) as history:
        await record_example(history)
        seen = await changes_between(history, "5", "2030-01-01")
        assert [summary(each) for each in seen] == [
            ("added", "4", 6),
            ("removed", "3", 7),
            (2, 1, 2, 1),
            ("added", "5", 11),
            ("updated", "1", 11),
            ("updated", "4", 11),
            ("removed", "2", 11),
            ("removed", "5", 12),
        ]
        assert await changes_between(history, "9f3c1a2b-12", TIMES[20]) == []
        assert len(await changes_between(history, TIMES[0], TIMES[5])) == 4


async def test_more_than_is_read_at_once(to: str) -> None:
    """Events of several batches come in order, without a gap or duplicate."""
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
        seen = await changes_between(history, "1", "2030-01-01")
        assert [
            each.position.sequence for each in seen if isinstance(each, RecordedChange)
        ] == list(range(2, query.BATCH + 11))
        assert await tree_at(history, "9000") == rows(row("1", "8999"))
