"""Prints the events of a catalog, for people or as JSON for programs.

It stores no checkpoint and no rows, so it takes the old rows from the events. If the history breaks
(another epoch, a gap, a wrong digest), it warns and goes on after the break; it does so even if the
events around the break are of types that are not printed.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Protocol

from consumers.contract.continuity import check_continuity
from consumers.contract.event import Entry, decode
from consumers.contract.model import Checkpoint, Event, EventType
from consumers.contract.snapshot import Meta
from consumers.errors import BadEntry, NoState
from consumers.following.catalog_client import START, CatalogClient


class EventOutput(Protocol):
    """The output to which events are written."""

    def show(self, entry: Entry, event: Event) -> None:
        """Write an event."""

    def warn(self, text: str) -> None:
        """Write, between the events, that something is wrong with them."""

    def flush(self) -> None:
        """Make everything visible that was written so far."""


@dataclass(slots=True)
class Tail:
    """Follows a catalog and writes its events of `types` to `output`."""

    client: CatalogClient
    output: EventOutput
    types: Collection[EventType]
    _: KW_ONLY
    once: bool
    _checkpoint: Checkpoint | None = field(default=None, init=False)
    _offset: str = field(default=START, init=False)

    async def run(self, offset: str) -> None:
        """Write the events after `offset`; with `once` end after the last one.

        Raises RedisError, and with `once` NoState.
        """
        self._offset = offset
        while True:
            entries = await self._read()
            self._write(entries)
            if self.once and not entries:
                return

    async def _read(self) -> list[Entry]:
        """Return the next entries; an empty list if there are none yet, or after a break."""
        try:
            if entries := await self.client.read(self._offset, wait=not self.once):
                return entries
            entries, meta = await self.client.read_with_meta(self._offset)
            if entries:
                return entries
            if self._checkpoint is None:
                self._checkpoint = Checkpoint(meta.epoch, meta.sequence, self._offset, meta.digest)
            elif self._checkpoint.position != meta.position:  # no event leads to the state
                self._go_to(*await self.client.last_entries(1))
        except NoState as error:
            self.output.warn(str(error))
            self._go_to(*await self.client.last_entries(1))
        return []

    def _write(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._offset = entry.offset
            try:
                event = decode(entry, self.client.catalog)
            except BadEntry as error:
                self.output.warn(str(error))
                continue
            own = self._checkpoint
            if own and (reason := check_continuity(own, [event], None).break_reason):
                self.output.warn(f"the history breaks: {reason}")
            if event.type in self.types:
                self.output.show(entry, event)
            self._checkpoint = event.checkpoint
        self.output.flush()

    def _go_to(self, entries: Sequence[Entry], meta: Meta) -> None:
        """Go to the position of the state, after the last entry of the stream."""
        own = self._checkpoint
        if own is not None and own.position != meta.position:
            self.output.warn(
                f"the history breaks: no event leads from {own.position} to {meta.position}"
            )
        self._offset = entries[-1].offset if entries else meta.offset
        self._checkpoint = Checkpoint(meta.epoch, meta.sequence, self._offset, meta.digest)
