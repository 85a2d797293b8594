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


class RecordedOutput:
    """An output that records sequences of events and warnings, in their order."""

    def __init__(self) -> None:
        self.seen: list[int | str] = []
        self.has_start = asyncio.Event()
        """Set once the tail knows after which event it begins."""

    def show(self, entry: Entry, event: Event) -> None:
        """Record the sequence."""
        assert entry.event is not None
        self.seen.append(event.sequence)

    def warn(self, text: str) -> None:
        """Record the warning."""
        self.seen.append(text)

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""

    @property
    def warnings(self) -> list[str]:
        """The recorded warnings."""
        return [each for each in self.seen if isinstance(each, str)]


async def tail_once(
    server: Server, lines: int = 10, types: Collection[EventType] = ALL
) -> list[int | str]:
    """Return what `tail --once` prints."""
    output = RecordedOutput()
    async with connect(server, "us", once=True) as events:
        offset = await start_of_last(events, lines, types)
        await Tail(events, output, types, once=True).run(offset)
    return output.seen


async def tail_since(server: Server, moment: str) -> list[int | str]:
    """Return what `tail --once --since` prints."""
    output = RecordedOutput()
    async with connect(server, "us", once=True) as events:
        offset = await start_since(events, parse(moment), output.warn)
        await Tail(events, output, ALL, once=True).run(offset)
    return output.seen


@asynccontextmanager
async def tailing(
    server: Server, lines: int = 10, types: Collection[EventType] = ALL
) -> AsyncIterator[RecordedOutput]:
    """Run a tail in the background, and yield its output."""
    output = RecordedOutput()
    async with connect(server, "us", once=False, timing=QUICK) as events:
        task = asyncio.create_task(follow(events, output, lines, types))
        try:
            yield output
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def follow(
    events: CatalogClient, output: RecordedOutput, lines: int, types: Collection[EventType]
) -> None:
    """Run a tail as the command does."""
    offset = await start_of_last(events, lines, types)
    output.has_start.set()
    await Tail(events, output, types, once=False).run(offset)


async def has_warned(output: RecordedOutput, *parts: str) -> bool:
    """Return whether there are exactly these warnings."""
    return len(output.warnings) == len(parts) and all(
        part in warning for part, warning in zip(parts, output.warnings, strict=True)
    )


async def shown(output: RecordedOutput, *sequences: int) -> bool:
    """Return whether exactly these events were printed."""
    return [each for each in output.seen if isinstance(each, int)] == list(sequences)
