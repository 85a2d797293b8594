"""Where `tail` starts: the last lines, or the first event since a point in time."""

from typing import Any

import pytest

from consumers.following.catalog_client import CatalogClient, connect
from consumers.tail.start import start_of_last
from consumers.tail.tail import Tail
from plumbing.redis.server import Server
from tests.consumers.pretend_publisher import (
    PretendPublisher,
    Tree,
    numbered,
    row,
    tree,
)
from tests.consumers.tail.recorded_tail import ALL, RecordedOutput, tail_once, tail_since
from tests.support.small_reads import BATCH

HOME, GARDEN = row("1", "Home"), row("2", "Garden", "1")

EVENING = "2026-11-23T20:00:00.000Z"


async def test_the_last_lines(server: Server, publisher: PretendPublisher) -> None:
    """As many lines as requested are printed, oldest first."""
    await publisher.commit(numbered(3))
    await publisher.commit(numbered(BATCH + 500))
    every = list(range(1, BATCH + 501))
    assert await tail_once(server, 4) == every[-4:]
    assert await tail_once(server, 0) == []
    assert await tail_once(server, BATCH + 499) == every[1:]
    assert await tail_once(server, 4 * BATCH) == every


class PublishesMeanwhile:
    """A client during whose `last_entries` something is published."""

    def __init__(self, real: CatalogClient, publisher: PretendPublisher, new: Tree) -> None:
        self._real = real
        self._publisher = publisher
        self._new = new

    async def last_entries(self, count: int) -> Any:
        """Read the entries, and then publish."""
        found = await self._real.last_entries(count)
        await self._publisher.commit(self._new)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


async def test_nothing_is_missed_at_the_start(server: Server, publisher: PretendPublisher) -> None:
    """Events that are published during the start are printed: it never reads from `$`."""
    await publisher.commit(tree(HOME))
    output = RecordedOutput()
    async with connect(server, "us", once=True) as events:
        meanwhile: Any = PublishesMeanwhile(events, publisher, tree(HOME, GARDEN))
        offset = await start_of_last(meanwhile, 0, ALL)
        await Tail(events, output, ALL, once=True).run(offset)
    assert output.seen == [2]


async def days(publisher: PretendPublisher, *days: int) -> None:
    """Commit one event at noon on each of these days of November."""
    for day in days:
        publisher.time = f"2026-11-{day:02}T12:00:00.000Z"
        await publisher.commit(numbered(len(publisher.tree) + 1))


@pytest.mark.parametrize(
    ("moment", "first"),
    [
        ("2026-11-01", 1),
        ("2026-11-02", 2),
        ("2026-11-02T12:00:00.000Z", 2),
        ("2026-11-02T12:00:00.001Z", 3),
        ("2026-11-02T13:59:59.999+02:00", 2),
        ("0", 1),
        ("1", 1),
        ("3", 3),
        ("00000000000000000003", 3),
        ("9f3c1a2b-2", 2),
        ("9f3c1a2b-4", 4),
    ],
)
async def test_since(server: Server, publisher: PretendPublisher, moment: str, first: int) -> None:
    """It starts with the first event at or after the time, or at the sequence."""
    await days(publisher, 1, 2, 3, 4)
    assert await tail_since(server, moment) == list(range(first, 5))


async def test_since_in_a_long_stream(server: Server, publisher: PretendPublisher) -> None:
    """The event may be anywhere in more than one batch."""
    count = BATCH + 500
    await publisher.commit(numbered(count))
    for sequence in (BATCH // 2, BATCH + 1):
        assert await tail_since(server, str(sequence)) == list(range(sequence, count + 1))
    publisher.time = EVENING
    await publisher.commit(numbered(count + 1))
    assert await tail_since(server, EVENING) == [count + 1]


async def test_since_where_the_clock_was_set_back(
    server: Server, publisher: PretendPublisher
) -> None:
    """However many events have earlier times, later events before them are found."""
    await days(publisher, 5, 6)
    publisher.time = "1970-01-01T00:00:00.000Z"
    await publisher.commit(numbered(BATCH + 500))
    await days(publisher, 7)
    assert await tail_since(server, "2026-11-06") == list(range(2, BATCH + 502))
    assert await tail_since(server, "2026-11-07") == [BATCH + 501]


@pytest.mark.parametrize("moment", ["2026-10-01", "2026-11-03", "0", "2", "9f3c1a2b-1"])
async def test_since_before_the_trimmed_events(
    server: Server, publisher: PretendPublisher, moment: str
) -> None:
    """There is one warning, and it starts with the first event that is left."""
    await days(publisher, 1, 2, 3, 4)
    await publisher.client.xtrim(publisher.events, maxlen=2, approximate=False)
    warning, *seen = await tail_since(server, moment)
    assert str(warning).startswith(
        "the stream starts with event 9f3c1a2b-3 of 2026-11-03T12:00:00.0"
    )
    assert seen == [3, 4]


@pytest.mark.parametrize(("moment", "seen"), [("3", [3, 4]), ("4", [4]), ("2026-11-04", [4])])
async def test_since_after_the_trimmed_events(
    server: Server, publisher: PretendPublisher, moment: str, seen: list[int | str]
) -> None:
    """There is no warning about trimmed events if none of them was requested."""
    await days(publisher, 1, 2, 3, 4)
    await publisher.client.xtrim(publisher.events, maxlen=2, approximate=False)
    assert await tail_since(server, moment) == seen


async def test_since_an_event(server: Server, publisher: PretendPublisher) -> None:
    """The digest of a whole event id shows whether it is still the same event."""
    await days(publisher, 1, 2)
    assert await tail_since(server, publisher.position) == [2]
    lost = "9f3c1a2b-2-0123456789abcdef"
    expected = f"event {lost} was lost: in its place there is {publisher.position}"
    assert await tail_since(server, lost) == [expected, 2]


@pytest.mark.parametrize("moment", ["5", "9f3c1a2b-5", "2026-11-05"])
async def test_since_the_future(server: Server, publisher: PretendPublisher, moment: str) -> None:
    """There is a warning, and no event is printed."""
    await days(publisher, 1, 2, 3, 4)
    (warning,) = await tail_since(server, moment)
    assert str(warning).endswith(f": the state is at {publisher.position}")
    assert str(warning).startswith("the stream has no event at or after ")


async def test_since_with_nothing_left(server: Server, publisher: PretendPublisher) -> None:
    """There is a warning if all events are trimmed."""
    await days(publisher, 1, 2)
    await publisher.client.xtrim(publisher.events, maxlen=0, approximate=False)
    (warning,) = await tail_since(server, "1")
    assert "no event at or after 9f3c1a2b-1: the state" in str(warning)


async def test_since_an_epoch(server: Server, publisher: PretendPublisher) -> None:
    """Events of a later epoch come after it; a sequence alone is of the state's epoch."""
    await days(publisher, 1, 2)
    await publisher.begin_epoch("00000002", numbered(3))
    await publisher.commit(numbered(4))
    break_ = "the history breaks: event 00000002-1 does not follow 9f3c1a2b-2"
    assert await tail_since(server, "9f3c1a2b-2") == [2, break_, 1, 2]
    assert await tail_since(server, "9f3c1a2b-7") == [1, 2]
    assert await tail_since(server, "2") == [2]
    warning, *seen = await tail_since(server, "ffffffff-1")
    assert warning == "the stream has no event of epoch ffffffff: starting with its first event"
    assert seen == [1, 2, break_, 1, 2]


async def test_since_among_entries_that_are_no_events(
    server: Server, publisher: PretendPublisher
) -> None:
    """A bad entry has neither time nor sequence; the warning comes when it is printed."""
    await publisher.client.xadd(publisher.events, {"by": "hand"}, id="0-1")
    await days(publisher, 1, 2)
    await publisher.client.xadd(publisher.events, {"by": "hand"}, id="2-7")
    assert await tail_since(server, "2") == [2, "entry 2-7 has no field event"]
    assert await tail_since(server, "1") == [1, 2, "entry 2-7 has no field event"]


async def test_the_stream_may_start_with_any_event(
    server: Server, publisher: PretendPublisher
) -> None:
    """After a trim the first event may have any sequence: that is not a break."""
    await publisher.commit(numbered(3))
    await publisher.client.xtrim(publisher.events, maxlen=2, approximate=False)
    assert await tail_once(server) == [2, 3]
