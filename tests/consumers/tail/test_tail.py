"""`tail`: the last events, then new ones, and every break in the history told."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, get_args

import pytest

from consumers.contract.event import Entry
from consumers.contract.history_point import parse
from consumers.contract.model import Event, EventType
from consumers.errors import NoState
from consumers.event_output import JsonOutput, TextOutput
from consumers.following.catalog_client import CatalogClient, connect
from consumers.tail.start import start_of_last, start_since
from consumers.tail.tail import Tail
from plumbing.redis.server import Server
from tests.consumers.event_histories import decoded
from tests.consumers.mirrors import QUICK
from tests.consumers.pretend_publisher import (
    TIME,
    History,
    PretendPublisher,
    Tree,
    numbered,
    row,
    tree,
)
from tests.support.small_reads import BATCH
from tests.support.waiting import eventually

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")
ALL: Collection[EventType] = get_args(EventType)


class Notes:
    """A screen that remembers: sequences of events, and complaints, in their order."""

    def __init__(self) -> None:
        self.seen: list[int | str] = []

    def show(self, entry: Entry, event: Event) -> None:
        """Note the sequence."""
        assert entry.event is not None
        self.seen.append(event.sequence)

    def warn(self, text: str) -> None:
        """Note the complaint."""
        self.seen.append(text)

    def flush(self) -> None:
        """Nothing is held back."""

    @property
    def complaints(self) -> list[str]:
        """What there was to complain about."""
        return [each for each in self.seen if isinstance(each, str)]


async def tail_once(
    server: Server, lines: int = 10, types: Collection[EventType] = ALL
) -> list[int | str]:
    """Return what `tail --once` shows."""
    notes = Notes()
    async with connect(server, "us", once=True) as events:
        offset = await start_of_last(events, lines, types)
        await Tail(events, notes, types, once=True).run(offset)
    return notes.seen


async def tail_since(server: Server, moment: str) -> list[int | str]:
    """Return what `tail --once --since` shows."""
    notes = Notes()
    async with connect(server, "us", once=True) as events:
        offset = await start_since(events, parse(moment), notes.warn)
        await Tail(events, notes, ALL, once=True).run(offset)
    return notes.seen


@asynccontextmanager
async def tailing(
    server: Server, lines: int = 10, types: Collection[EventType] = ALL
) -> AsyncIterator[Notes]:
    """Have a tail running, and give what it shows."""
    notes = Notes()
    async with connect(server, "us", once=False, timing=QUICK) as events:
        task = asyncio.create_task(follow(events, notes, lines, types))
        try:
            yield notes
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def follow(
    events: CatalogClient, notes: Notes, lines: int, types: Collection[EventType]
) -> None:
    """Do what `tail` does."""
    offset = await start_of_last(events, lines, types)
    await Tail(events, notes, types, once=False).run(offset)


async def complained(notes: Notes, *parts: str) -> bool:
    """Say whether there are just these complaints."""
    return len(notes.complaints) == len(parts) and all(
        part in complaint for part, complaint in zip(parts, notes.complaints, strict=True)
    )


async def shown(notes: Notes, *sequences: int) -> bool:
    """Say whether just these events were shown."""
    return [each for each in notes.seen if isinstance(each, int)] == list(sequences)


async def test_the_last_lines(server: Server, publisher: PretendPublisher) -> None:
    """As many as asked for, oldest first, in one go however many there are."""
    await publisher.commit(numbered(3))
    await publisher.commit(numbered(BATCH + 500))
    every = list(range(1, BATCH + 501))
    assert await tail_once(server, 4) == every[-4:]
    assert await tail_once(server, 0) == []
    assert await tail_once(server, BATCH + 499) == every[1:]
    assert await tail_once(server, 4 * BATCH) == every


async def test_it_follows(server: Server, publisher: PretendPublisher) -> None:
    """New events come as they are published, none is missed between the last ones and them."""
    await publisher.commit(tree(HOME))
    async with tailing(server) as notes:
        await eventually(lambda: shown(notes, 1))
        await publisher.commit(tree(HOME, GARDEN))
        await publisher.commit(tree(HOME | {"local_name": "House"}))
        await eventually(lambda: shown(notes, 1, 2, 3, 4))
    assert notes.complaints == []


class Meanwhile:
    """A stream on which something is published right after its last entries were read."""

    def __init__(self, real: CatalogClient, publisher: PretendPublisher, new: Tree) -> None:
        self._real = real
        self._publisher = publisher
        self._new = new

    async def last_entries(self, count: int) -> Any:
        """Read them, and publish."""
        found = await self._real.last_entries(count)
        await self._publisher.commit(self._new)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


async def test_nothing_is_missed_at_the_beginning(
    server: Server, publisher: PretendPublisher
) -> None:
    """What is published while it begins is shown: it never starts at `$`."""
    await publisher.commit(tree(HOME))
    notes = Notes()
    async with connect(server, "us", once=True) as events:
        meanwhile: Any = Meanwhile(events, publisher, tree(HOME, GARDEN))
        offset = await start_of_last(meanwhile, 0, ALL)
        await Tail(events, notes, ALL, once=True).run(offset)
    assert notes.seen == [2]


async def test_types(server: Server, publisher: PretendPublisher) -> None:
    """So many of these types, however far back they are, and then the new ones of them."""
    await publisher.commit(tree(HOME, TOYS))
    await publisher.commit(tree(HOME))
    await publisher.commit(tree(HOME | {"local_name": "House"}))
    await publisher.commit(tree(HOME | {"local_name": "House"}) | numbered(BATCH, first=2))
    assert await tail_once(server, 1, ["removed"]) == [3]
    assert await tail_once(server, 2, ["removed", "updated"]) == [3, 4]
    assert await tail_once(server, 2, ["added", "updated"]) == [BATCH + 3, BATCH + 4]
    assert await tail_once(server, 10, ["removed"]) == [3]
    async with tailing(server, 0, ["added"]) as notes:
        await publisher.commit(numbered(BATCH + 1))
        await publisher.commit(numbered(BATCH + 2))
        await eventually(lambda: shown(notes, BATCH + 6))


async def test_what_is_left_out_is_checked(server: Server, publisher: PretendPublisher) -> None:
    """A break among events that are not shown is told."""
    await publisher.commit(numbered(4))
    await publisher.client.xdel(publisher.events, "1-1")
    await publisher.commit(numbered(3))
    told, *seen = await tail_once(server, 10, ["removed"])
    assert told == "the history breaks: event 9f3c1a2b-3 does not follow 9f3c1a2b-1"
    assert seen == [5]


EVENING = "2026-11-23T20:00:00.000Z"


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
    """It begins with the first event at or after the time, or with that of the sequence."""
    await days(publisher, 1, 2, 3, 4)
    assert await tail_since(server, moment) == list(range(first, 5))


async def test_since_in_a_long_stream(server: Server, publisher: PretendPublisher) -> None:
    """It may be anywhere among more than are read at once."""
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
    """However many events have earlier times, none that is later is hidden behind them."""
    await days(publisher, 5, 6)
    publisher.time = "1970-01-01T00:00:00.000Z"
    await publisher.commit(numbered(BATCH + 500))
    await days(publisher, 7)
    assert await tail_since(server, "2026-11-06") == list(range(2, BATCH + 502))
    assert await tail_since(server, "2026-11-07") == [BATCH + 501]


@pytest.mark.parametrize("moment", ["2026-10-01", "2026-11-03", "0", "2", "9f3c1a2b-1"])
async def test_since_before_what_was_trimmed(
    server: Server, publisher: PretendPublisher, moment: str
) -> None:
    """Told once, and begun with the first event that is left."""
    await days(publisher, 1, 2, 3, 4)
    await publisher.client.xtrim(publisher.events, maxlen=2, approximate=False)
    told, *seen = await tail_since(server, moment)
    assert str(told).startswith("the stream starts with event 9f3c1a2b-3 of 2026-11-03T12:00:00.0")
    assert seen == [3, 4]


@pytest.mark.parametrize(("moment", "seen"), [("3", [3, 4]), ("4", [4]), ("2026-11-04", [4])])
async def test_since_behind_what_was_trimmed(
    server: Server, publisher: PretendPublisher, moment: str, seen: list[int | str]
) -> None:
    """Whoever does not ask for it is told nothing of it."""
    await days(publisher, 1, 2, 3, 4)
    await publisher.client.xtrim(publisher.events, maxlen=2, approximate=False)
    assert await tail_since(server, moment) == seen


async def test_since_an_event(server: Server, publisher: PretendPublisher) -> None:
    """Of a whole event id, the digest tells whether it is the event of its sequence."""
    await days(publisher, 1, 2)
    assert await tail_since(server, publisher.position) == [2]
    lost = "9f3c1a2b-2-0123456789abcdef"
    told = f"event {lost} was lost: in its place there is {publisher.position}"
    assert await tail_since(server, lost) == [told, 2]


@pytest.mark.parametrize("moment", ["5", "9f3c1a2b-5", "2026-11-05"])
async def test_since_the_future(server: Server, publisher: PretendPublisher, moment: str) -> None:
    """Told, and nothing of what there is is shown."""
    await days(publisher, 1, 2, 3, 4)
    (told,) = await tail_since(server, moment)
    assert str(told).endswith(f": the state is at {publisher.position}")
    assert str(told).startswith("the stream has no event at or after ")


async def test_since_with_nothing_left(server: Server, publisher: PretendPublisher) -> None:
    """A stream of which all was trimmed has nothing to begin with: told."""
    await days(publisher, 1, 2)
    await publisher.client.xtrim(publisher.events, maxlen=0, approximate=False)
    (told,) = await tail_since(server, "1")
    assert "no event at or after 9f3c1a2b-1: the state" in str(told)


async def test_since_an_epoch(server: Server, publisher: PretendPublisher) -> None:
    """What follows an epoch is after it; a sequence alone is of the state's epoch."""
    await days(publisher, 1, 2)
    await publisher.begin_epoch("00000002", numbered(3))
    await publisher.commit(numbered(4))
    break_ = "the history breaks: event 00000002-1 does not follow 9f3c1a2b-2"
    assert await tail_since(server, "9f3c1a2b-2") == [2, break_, 1, 2]
    assert await tail_since(server, "9f3c1a2b-7") == [1, 2]
    assert await tail_since(server, "2") == [2]
    told, *seen = await tail_since(server, "ffffffff-1")
    assert told == "the stream has no event of epoch ffffffff: starting with its first event"
    assert seen == [1, 2, break_, 1, 2]


async def test_since_among_rubbish(server: Server, publisher: PretendPublisher) -> None:
    """An entry that is no event has neither time nor sequence; it is told where it is shown."""
    await publisher.client.xadd(publisher.events, {"by": "hand"}, id="0-1")
    await days(publisher, 1, 2)
    await publisher.client.xadd(publisher.events, {"by": "hand"}, id="2-7")
    assert await tail_since(server, "2") == [2, "entry 2-7 has no field event"]
    assert await tail_since(server, "1") == [1, 2, "entry 2-7 has no field event"]


async def test_no_catalog(server: Server) -> None:
    """With --once that is an error."""
    with pytest.raises(NoState, match="catalog us is not in Redis"):
        await tail_once(server)


async def test_it_waits_for_the_first_poll(server: Server, publisher: PretendPublisher) -> None:
    """Without, it is there before the catalog is."""
    async with tailing(server) as notes:
        await publisher.commit(tree(HOME))
        await eventually(lambda: shown(notes, 1))


async def test_a_gap(server: Server, publisher: PretendPublisher) -> None:
    """Events that are missing are told where they are missing."""
    await publisher.commit(numbered(3))
    await publisher.client.xdel(publisher.events, "1-1")
    seen = await tail_once(server)
    assert seen[0] == 1
    assert "9f3c1a2b-3 does not follow 9f3c1a2b-1" in str(seen[1])
    assert seen[2:] == [3]


async def test_the_beginning_may_be_anywhere(server: Server, publisher: PretendPublisher) -> None:
    """A stream that was trimmed begins with any event: no break."""
    await publisher.commit(numbered(3))
    await publisher.client.xtrim(publisher.events, maxlen=2, approximate=False)
    assert await tail_once(server) == [2, 3]


async def test_another_epoch(server: Server, publisher: PretendPublisher) -> None:
    """A repair begins another history: told, and gone on with."""
    await publisher.commit(tree(HOME))
    async with tailing(server) as notes:
        await eventually(lambda: shown(notes, 1))
        await publisher.begin_epoch("00000002", tree(HOME, GARDEN))
        await eventually(lambda: shown(notes, 1, 1))
        await publisher.commit(tree(HOME, GARDEN, TOYS))
        await eventually(lambda: shown(notes, 1, 1, 2))
    assert await complained(notes, "00000002-1 does not follow 9f3c1a2b-1")


async def test_a_digest_that_does_not_come_out(server: Server, publisher: PretendPublisher) -> None:
    """An event whose content was changed does not lead to its digest."""
    await publisher.commit(tree(HOME))
    publisher.digest ^= 1
    await publisher.commit(tree(HOME, GARDEN))
    seen = await tail_once(server)
    assert (seen[0], seen[2]) == (1, 2)
    assert "leads to digest" in str(seen[1])


async def test_rubbish(server: Server, publisher: PretendPublisher) -> None:
    """An entry that is no event is told, and the events around it still connect."""
    await publisher.commit(tree(HOME))
    await publisher.client.xadd(publisher.events, {"by": "hand"}, id="1-7")
    await publisher.commit(tree(HOME, GARDEN))
    assert await tail_once(server) == [1, "entry 1-7 has no field event", 2]


async def test_a_server_set_back(server: Server, publisher: PretendPublisher) -> None:
    """The events that were lost stay on the screen, and what comes instead is shown."""
    await publisher.commit(tree(HOME))
    backup = await publisher.backup()
    async with tailing(server) as notes:
        await publisher.commit(tree(HOME, GARDEN))
        await eventually(lambda: shown(notes, 1, 2))
        lost = publisher.position
        await publisher.restore(backup)
        told = f"no event leads from {lost} to {publisher.position}"
        await eventually(lambda: complained(notes, told))
        await publisher.commit(tree(HOME, TOYS))
        await eventually(lambda: shown(notes, 1, 2, 2))
    assert len(notes.complaints) == 1


async def test_a_wipe(server: Server, publisher: PretendPublisher) -> None:
    """An emptied server is told, and waited for."""
    await publisher.commit(tree(HOME))
    async with tailing(server) as notes:
        await eventually(lambda: shown(notes, 1))
        await publisher.client.flushall()
        await eventually(lambda: complained(notes, "catalog us is not in Redis"))
        publisher.tree, publisher.digest = {}, 0
        await publisher.begin_epoch("00000002", numbered(2))
        await eventually(lambda: complained(notes, "is not in Redis", "no event leads from"))
        await publisher.commit(numbered(3))
        await eventually(lambda: shown(notes, 1, 3))


async def test_a_last_event_that_is_not_the_state(
    server: Server, publisher: PretendPublisher
) -> None:
    """A repair without changes writes no event: told after the last ones."""
    await publisher.commit(tree(HOME))
    await publisher.client.hset(publisher.meta, mapping={"epoch": "00000002", "sequence": 0})
    seen = await tail_once(server)
    assert seen[0] == 1
    assert f"no event leads from {publisher.position} to 00000002-0-" in str(seen[1])


def events() -> list[Event]:
    """Return an addition, an update and a removal of a category with an evil name."""
    history = History()
    evil = row("1", "[red]\x1b[31m<b>\n\u202e", "0")
    documents = [
        *history.go_to(tree(HOME | {"id": "5"})),
        *history.go_to(tree(HOME | {"id": "5"}, evil)),
        *history.go_to(tree(HOME | {"id": "5"}, evil | {"local_name": "x", "is_leaf": False})),
        *history.go_to(tree(HOME | {"id": "5"})),
    ]
    return decoded(documents)[1:]


def test_lines_for_a_human(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Time, place, type, id and what happened; nothing in a name can steer the terminal."""
    screen = TextOutput()
    for event in events():
        screen.show(Entry("1-1", b""), event)
    screen.flush()
    evil = r"'[red]\x1b[31m<b>\n\u202e'"
    assert capfdbinary.readouterr().out.decode().splitlines() == [
        f"{TIME}  9f3c1a2b-2  added    1  {evil} below '0'",
        f"{TIME}  9f3c1a2b-3  updated  1  local_name {evil} → 'x', is_leaf True → False",
        f"{TIME}  9f3c1a2b-4  removed  1  'x'",
    ]


def test_json_as_it_is(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The very bytes, but on one line."""
    screen = JsonOutput()
    document = History().go_to(tree(HOME))[0]
    pretty = json.dumps(document, indent=1).encode()
    for text in (b'{"a":"\xc3\xa9 \\n"}', pretty):
        screen.show(Entry("1-1", text), events()[0])
    screen.flush()
    first, second = capfdbinary.readouterr().out.splitlines()
    assert first == b'{"a":"\xc3\xa9 \\n"}'
    assert json.loads(second) == document


def test_complaints_beside_the_events(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """They go to standard error, harmless too."""
    JsonOutput().warn("entry 1-1\x1b[2J is no event")
    captured = capfdbinary.readouterr()
    assert (captured.out, captured.err) == (b"", b"entry 1-1\\x1b[2J is no event\n")
