"""Finds the offset at which `tail` starts: the last events, or a point in time.

The result is the offset to read after. No more than one batch is held in memory.
"""

from collections.abc import Callable, Collection

from consumers.contract.event import Entry, decode
from consumers.contract.history_point import EventRef, HistoryPoint
from consumers.contract.model import Event, EventType
from consumers.errors import BadEntry
from consumers.following.catalog_client import BATCH, START, CatalogClient


async def start_of_last(client: CatalogClient, lines: int, types: Collection[EventType]) -> str:
    """Return the offset after which the stream has `lines` events of `types`.

    Waits for a state as `CatalogClient.last_entries` does.
    """
    missing = lines
    entries, _ = await client.last_entries(min(lines + 1, BATCH))
    while entries:
        for entry in reversed(entries):
            if missing == 0:
                return entry.offset
            event = _event(entry, client.catalog)
            missing -= event is not None and event.type in types
        entries = await client.entries_before(entries[0].offset, BATCH)
    return START


async def start_since(
    client: CatalogClient, point: HistoryPoint, warn: Callable[[str], None]
) -> str:
    """Return the offset before the first event at or after `point`.

    "First" is by the order of events. Their times are in another order if a clock was set back, so
    this reads the whole stream (50,000 events: 1.8 s). A sequence alone belongs to the state's
    epoch; all events of a later epoch come after it. `warn` is called with what a user may not
    expect about the result. Waits for a state as `CatalogClient.last_entries` does.
    """
    _, meta = await client.last_entries(1)
    if isinstance(point, EventRef) and point.epoch is None:
        point = point._replace(epoch=meta.epoch)
    has_epoch_begun = False
    offset = START
    while entries := await client.read(offset, wait=False):
        for entry in entries:
            event = _event(entry, client.catalog)
            if event is not None:
                if isinstance(point, str):
                    is_found = event.time >= point
                elif event.epoch == point.epoch:
                    has_epoch_begun, is_found = True, event.sequence >= point.sequence
                else:
                    is_found = has_epoch_begun
                if is_found:
                    _warn_about(event, point, warn, is_first=offset == START)
                    return offset
            offset = entry.offset
    if isinstance(point, EventRef) and point.epoch != meta.epoch and not has_epoch_begun:
        warn(f"the stream has no event of epoch {point.epoch}: starting with its first event")
        return START
    warn(f"the stream has no event at or after {point}: the state is at {meta.position}")
    return offset


def _warn_about(
    found: Event, point: HistoryPoint, warn: Callable[[str], None], *, is_first: bool
) -> None:
    """Warn if `found` is not the event at `point`, or earlier ones are trimmed."""
    ref = EventRef(found.epoch, found.sequence)
    if isinstance(point, EventRef) and point._replace(digest=None) == ref:
        if point.digest not in {None, found.digest}:
            warn(f"event {point} was lost: in its place there is {found.checkpoint.position}")
    elif is_first and found.sequence > 1:
        warn(f"the stream starts with event {ref} of {found.time}: earlier ones are trimmed")


def _event(entry: Entry, catalog: str) -> Event | None:
    """Return the event in `entry`; None if it is none (`Tail` warns about it)."""
    try:
        return decode(entry, catalog)
    except BadEntry:
        return None
