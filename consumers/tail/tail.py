"""Prints the events of a catalog, for people or as JSON for programs.

It stores no checkpoint and no rows, so it takes the old rows from the events. If the history breaks
(another epoch, a gap, a wrong digest), it warns and goes on after the break; it does so even if the
events around the break are of types that are not printed.
"""

from collections.abc import Collection, Iterable, Sequence
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


class Tail:
    """Follows a catalog and writes its events of `types` to `output`."""

    def __init__(
        self,
        client: CatalogClient,
        output: EventOutput,
        types: Collection[EventType],
        *,
        once: bool,
    ) -> None:
        self._client = client
        self._output = output
        self._types = types
        self._once = once
        self._checkpoint: Checkpoint | None = None
        self._offset = START

    async def run(self, offset: str) -> None:
        """Write the events after `offset`; with `once` end after the last one.

        Raises RedisError, and with `once` NoState.
        """
        self._offset = offset
        while True:
            entries = await self._read()
            self._write(entries)
            if self._once and not entries:
                return

    async def _read(self) -> list[Entry]:
        """Return the next entries; an empty list if there are none yet, or after a break."""
        try:
            entries = await self._client.read(self._offset, wait=not self._once)
            if entries:
                return entries
            entries, meta = await self._client.read_with_meta(self._offset)
            if entries:
                return entries
            if self._checkpoint is None:
                self._checkpoint = Checkpoint(meta.epoch, meta.sequence, self._offset, meta.digest)
            elif self._checkpoint.position != meta.position:  # no event leads to the state
                self._go_to(*await self._client.last_entries(1))
        except NoState as error:
            self._output.warn(str(error))
            self._go_to(*await self._client.last_entries(1))
        return []

    def _write(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._offset = entry.offset
            try:
                event = decode(entry, self._client.catalog)
            except BadEntry as error:
                self._output.warn(str(error))
                continue
            if self._checkpoint is not None:
                gap = check_continuity(self._checkpoint, [event], None).gap
                if gap is not None:
                    self._output.warn(f"the history breaks: {gap}")
            if event.type in self._types:
                self._output.show(entry, event)
            self._checkpoint = event.checkpoint
        self._output.flush()

    def _go_to(self, entries: Sequence[Entry], meta: Meta) -> None:
        """Go to the position of the state, after the last entry of the stream."""
        own = self._checkpoint
        if own is not None and own.position != meta.position:
            self._output.warn(
                f"the history breaks: no event leads from {own.position} to {meta.position}"
            )
        self._offset = entries[-1].offset if entries else meta.offset
        self._checkpoint = Checkpoint(meta.epoch, meta.sequence, self._offset, meta.digest)
