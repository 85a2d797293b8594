"""Tails that record what they print."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import get_args

from consumers.contract.event import Entry
from consumers.contract.history_point import parse
from consumers.contract.model import Event, EventType
from consumers.following.catalog_client import CatalogClient, connect
from consumers.tail.start import start_of_last, start_since
from consumers.tail.tail import Tail
from plumbing.redis.server import Server
from tests.consumers.mirrors import QUICK

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
