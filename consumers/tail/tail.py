"""Shows a catalog's last events and then each new one, to a human or as JSON for programs.

It keeps no checkpoint and no rows, so it takes the events' word for what there was before. A
break in the history (another epoch, a gap, a digest that does not come out) is told, and it goes
on behind it; so also among events of types that are not shown.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from consumers.contract.continuity import check_continuity
from consumers.contract.event import Entry, decode
from consumers.contract.model import Checkpoint, Event, EventType
from consumers.contract.snapshot import Meta
from consumers.errors import BadEntry, NoState
from consumers.following.catalog_client import START, CatalogClient


class Screen(Protocol):
    """Where events are shown."""

    def show(self, entry: Entry, event: Event) -> None:
        """Show an event."""

    def warn(self, text: str) -> None:
        """Tell, beside the events, what is wrong with them."""

    def flush(self) -> None:
        """Let everything so far be seen."""


class Tail:
    """Follows `stream` and shows its events of `types` on `screen`."""

    def __init__(
        self, stream: CatalogClient, screen: Screen, types: Collection[EventType], *, once: bool
    ) -> None:
        self._stream = stream
        self._screen = screen
        self._types = types
        self._once = once
        self._at: Checkpoint | None = None
        self._offset = START

    async def run(self, offset: str) -> None:
        """Show the events behind `offset`, until cancelled, or with `once` all that there are.

        Raises RedisError, and with `once` NoState.
        """
        self._offset = offset
        while True:
            entries = await self._next()
            self._show(entries)
            if self._once and not entries:
                return

    async def _next(self) -> list[Entry]:
        try:
            entries = await self._stream.read(self._offset, wait=not self._once)
            if entries:
                return entries
            entries, meta = await self._stream.read_with_meta(self._offset)
            if not entries:
                await self._check(meta)
        except NoState as error:
            self._screen.warn(str(error))
            self._go_to(*await self._stream.last_entries(1))
            return []
        return entries

    async def _check(self, meta: Meta) -> None:
        """See to it that one stands where `meta` does when there is nothing more to read."""
        if self._at is None:
            self._at = Checkpoint(meta.epoch, meta.sequence, self._offset, meta.digest)
        elif self._at.position != meta.position:
            self._go_to(*await self._stream.last_entries(1))

    def _show(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._offset = entry.offset
            try:
                event = decode(entry, self._stream.catalog)
            except BadEntry as error:
                self._screen.warn(str(error))
                continue
            gap = check_continuity(self._at, [event], None).gap if self._at else None
            if gap is not None:
                self._screen.warn(f"the history breaks: {gap}")
            if event.type in self._types:
                self._screen.show(entry, event)
            self._at = event.checkpoint
        self._screen.flush()

    def _go_to(self, entries: Sequence[Entry], meta: Meta) -> None:
        """Stand where the state is, behind the stream's last entry."""
        if self._at is not None and self._at.position != meta.position:
            self._screen.warn(
                f"the history breaks: no event leads from {self._at.position} to {meta.position}"
            )
        self._offset = entries[-1].offset if entries else meta.offset
        self._at = Checkpoint(meta.epoch, meta.sequence, self._offset, meta.digest)
