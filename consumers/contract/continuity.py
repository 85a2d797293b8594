"""The strict rule: which events connect to a checkpoint (contract, 5.6). Pure.

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

    `break_reason` says why the next event does not connect; None if all events do.
    """

    events: Sequence[Event]
    checkpoint: Checkpoint
    break_reason: str | None


def check_continuity(
    checkpoint: Checkpoint, events: Sequence[Event], rows: Mapping[str, Category] | None
) -> Continuity:
    """Return the events that connect to `checkpoint`, each following the one before.

    `rows` are the consumer's own rows of the events' categories, as they are at `checkpoint`. None
    means that it stores no rows: then the old rows are taken from the events.
    """
    own = None if rows is None else {row.id: digest.of_category(row) for row in rows.values()}
    epoch, sequence = checkpoint.epoch, checkpoint.sequence
    value = int(checkpoint.digest, 16)
    break_reason = None
    count = 0
    for event in events:
        if event.epoch != epoch or event.sequence != sequence + 1:
            name = f"{event.epoch}-{event.sequence}"
            break_reason = f"event {name} does not follow {epoch}-{sequence}"
            break
        value ^= _digest_change(event, own)
        if (found := digest.text(value)) != event.digest:
            name = f"{event.epoch}-{event.sequence}"
            break_reason = f"event {name} leads to digest {event.digest}, here it is {found}"
            break
        sequence = event.sequence
        count += 1
    connected = events[:count]
    last = connected[-1].checkpoint if connected else checkpoint
    return Continuity(connected, last, break_reason)


def _digest_change(event: Event, own: dict[str, int] | None) -> int:
    """Return the old row's digest XOR the new row's; update `own`, if given.

    A row that does not exist, before an addition or after a removal, counts as 0.
    """
    id_ = event.category.id
    new = 0 if event.type == "removed" else digest.of_category(event.category)
    if own is not None:
        old = own.pop(id_, 0)
        if event.type != "removed":
            own[id_] = new
    else:
        old = 0 if event.type == "added" else digest.of_category(event.before or event.category)
    return old ^ new
