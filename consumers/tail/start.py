"""Where `tail` begins: with the last events, or with the first one since a moment.

Either way the answer is the offset to read on behind, and no more than one read is held in memory.
"""

from collections.abc import Callable, Collection

from consumers.contract.event import Entry, decode
from consumers.contract.history_point import EventRef, HistoryPoint
from consumers.contract.model import Event, EventType
from consumers.contract.snapshot import Meta
from consumers.errors import BadEntry
from consumers.following.catalog_client import BATCH, START, CatalogClient


async def start_of_last(stream: CatalogClient, lines: int, types: Collection[EventType]) -> str:
    """Return the offset behind which there are the last `lines` events of `types`.

    Waits for a state as `CatalogClient.last_entries` does.
    """
    missing = lines
    entries, _ = await stream.last_entries(min(lines + 1, BATCH))
    while entries:
        for entry in reversed(entries):
            if missing == 0:
                return entry.offset
            event = _event(entry, stream.catalog)
            missing -= event is not None and event.type in types
        entries = await stream.entries_before(entries[0].offset, BATCH)
    return START


async def start_since(
    stream: CatalogClient, moment: HistoryPoint, tell: Callable[[str], None]
) -> str:
    """Return the offset behind which the first event at or after `moment` is.

    It is the first in the order of events, which is not that of their times where a clock was set
    back, so the search goes through the whole stream (50,000 events: 1.8 s). A sequence
    alone is of the state's epoch; what follows an epoch is after all of it. `tell` is told what
    the one who asks may not expect. Waits as `CatalogClient.last_entries` does.
    """
    _, meta = await stream.last_entries(1)
    if isinstance(moment, EventRef) and moment.epoch is None:
        moment = moment._replace(epoch=meta.epoch)
    search = _Search(moment)
    offset = START
    while entries := await stream.read(offset, wait=False):
        for entry in entries:
            event = _event(entry, stream.catalog)
            if event is not None and search.finds(event):
                _tell_of_doubts(event, moment, tell, is_first=offset == START)
                return offset
            offset = entry.offset
    return _not_found(search, meta, offset, tell)


class _Search:
    """Is shown events in their order, and finds the first one at or after `moment`."""

    def __init__(self, moment: HistoryPoint) -> None:
        self.moment = moment
        self.has_epoch_begun = False

    def finds(self, event: Event) -> bool:
        if isinstance(self.moment, str):
            return event.time >= self.moment
        if event.epoch != self.moment.epoch:
            return self.has_epoch_begun
        self.has_epoch_begun = True
        return event.sequence >= self.moment.sequence


def _tell_of_doubts(
    found: Event, moment: HistoryPoint, tell: Callable[[str], None], *, is_first: bool
) -> None:
    """Tell if `found` is not the event that was meant, or not the first since `moment`."""
    place = EventRef(found.epoch, found.sequence)
    if isinstance(moment, EventRef) and moment._replace(digest=None) == place:
        if moment.digest not in {None, found.digest}:
            tell(f"event {moment} was lost: in its place there is {found.checkpoint.position}")
    elif is_first and found.sequence > 1:
        tell(f"the stream begins with event {place} of {found.time}: the ones before are trimmed")


def _not_found(search: _Search, meta: Meta, end: str, tell: Callable[[str], None]) -> str:
    moment = search.moment
    if isinstance(moment, EventRef) and moment.epoch != meta.epoch and not search.has_epoch_begun:
        tell(f"the stream has no event of epoch {moment.epoch}: beginning with its first event")
        return START
    tell(f"the stream has no event at or after {moment}: the state is at {meta.position}")
    return end


def _event(entry: Entry, catalog: str) -> Event | None:
    """Return the event in `entry`; None if there is none, which is told when it is shown."""
    try:
        return decode(entry, catalog)
    except BadEntry:
        return None
