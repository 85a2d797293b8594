"""The strict rule: which events may be applied to a consumer's data (contract, 5.6). Pure.

An event connects if it has the same epoch and the next sequence, and if its digest results from
replacing the consumer's own row by the new one. There is no rule "older, so skip it": an event that
does not connect belongs to another history, and the state has to be read.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from consumers.contract import digest
from consumers.contract.model import Category, Checkpoint, Event


class Continuity(NamedTuple):
    """The events that connect, and the checkpoint to which they lead.

    `gap` says why the next event does not connect; None if all events do.
    """

    events: Sequence[Event]
    checkpoint: Checkpoint
    gap: str | None


def check_continuity(
    checkpoint: Checkpoint, events: Sequence[Event], rows: Mapping[str, Category] | None
) -> Continuity:
    """Return the events that connect to `checkpoint`, each one to the event before.

    `rows` are the consumer's own rows of the events' categories, as they are at `checkpoint`. None
    means that it stores no rows: then the old rows are taken from the events.
    """
    own = None if rows is None else {row.id: digest.of_category(row) for row in rows.values()}
    epoch, sequence = checkpoint.epoch, checkpoint.sequence
    value = int(checkpoint.digest, 16)
    gap = None
    count = 0
    for event in events:
        name = f"event {event.epoch}-{event.sequence}"
        if event.epoch != epoch or event.sequence != sequence + 1:
            gap = f"{name} does not follow {epoch}-{sequence}"
            break
        value ^= _old_digest(event, own) ^ _new_digest(event, own)
        if (found := digest.text(value)) != event.digest:
            gap = f"{name} leads to digest {event.digest}, here it is {found}"
            break
        sequence = event.sequence
        count += 1
    connected = events[:count]
    return Continuity(connected, connected[-1].checkpoint if connected else checkpoint, gap)


def _old_digest(event: Event, own: dict[str, int] | None) -> int:
    """Return the digest of the row that `event` replaces or removes; 0 if there is none."""
    if own is not None:
        return own.pop(event.category.id, 0)
    if event.type == "added":
        return 0
    return digest.of_category(event.before or event.category)


def _new_digest(event: Event, own: dict[str, int] | None) -> int:
    """Return the digest of the row that `event` writes, and note it in `own`; 0 for a removal."""
    if event.type == "removed":
        return 0
    value = digest.of_category(event.category)
    if own is not None:
        own[event.category.id] = value
    return value
