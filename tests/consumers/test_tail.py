"""`tail`: the last events, then new ones, and every break in the history told."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from consumers import stream
from consumers.errors import NoState
from consumers.event import Entry
from consumers.model import Event
from consumers.screen import JsonScreen, LineScreen
from consumers.stream import Stream
from consumers.tail import Tail
from plumbing.server import Server
from tests.consumers.copying import QUICK
from tests.consumers.pretend_publisher import (
    TIME,
    History,
    PretendPublisher,
    Tree,
    numbered,
    row,
    tree,
)
from tests.consumers.trees import decoded
from tests.waiting import eventually

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")


class Notes:
    """A screen that remembers: sequences of events, and complaints, in their order."""

    def __init__(self) -> None:
        self.seen: list[int | str] = []

    def show(self, entry: Entry, event: Event) -> None:
        """Note the sequence."""
        assert entry.event is not None
        self.seen.append(event.sequence)

    def complain(self, text: str) -> None:
        """Note the complaint."""
        self.seen.append(text)

    def flush(self) -> None:
        """Nothing is held back."""

    @property
    def complaints(self) -> list[str]:
        """What there was to complain about."""
        return [each for each in self.seen if isinstance(each, str)]


async def tail_once(server: Server, lines: int = 10) -> list[int | str]:
    """Return what `tail --once` shows."""
    notes = Notes()
    async with stream.opened(server, "us", once=True) as events:
        await Tail(events, notes, once=True).run(lines)
    return notes.seen


@asynccontextmanager
async def tailing(server: Server, lines: int = 10) -> AsyncIterator[Notes]:
    """Have a tail running, and give what it shows."""
    notes = Notes()
    async with stream.opened(server, "us", once=False, pace=QUICK) as events:
        task = asyncio.create_task(Tail(events, notes, once=False).run(lines))
        try:
            yield notes
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


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
    await publisher.commit(numbered(1500))
    assert await tail_once(server, 4) == [1497, 1498, 1499, 1500]
    assert await tail_once(server, 0) == []
    assert await tail_once(server, 5000) == list(range(1, 1501))


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

    def __init__(self, real: Stream, publisher: PretendPublisher, new: Tree) -> None:
        self._real = real
        self._publisher = publisher
        self._new = new

    async def last(self, count: int) -> Any:
        """Read them, and publish."""
        found = await self._real.last(count)
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
    async with stream.opened(server, "us", once=True) as events:
        meanwhile: Any = Meanwhile(events, publisher, tree(HOME, GARDEN))
        await Tail(meanwhile, notes, once=True).run(0)
    assert notes.seen == [2]


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
    screen = LineScreen()
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
    screen = JsonScreen()
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
    JsonScreen().complain("entry 1-1\x1b[2J is no event")
    captured = capfdbinary.readouterr()
    assert (captured.out, captured.err) == (b"", b"entry 1-1\\x1b[2J is no event\n")
