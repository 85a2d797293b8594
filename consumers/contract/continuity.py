"""The strict rule: which events may be applied to what a consumer has (contract, 5.6). Pure.

An event connects if it is of the same epoch, has the next sequence, and its digest is what comes
out when the consumer's own row is taken out and the new one put in. There is no "older, so skip":
whatever does not connect means that the history is another one, and the state has to be read.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from consumers.contract import digest
from consumers.contract.model import Category, Checkpoint, Event


class Continuity(NamedTuple):
    """How far `check_continuity` came: the events that connect, and where they lead.

    `gap` says why the event behind them does not connect; None if there is none behind.
    """

    events: Sequence[Event]
    checkpoint: Checkpoint
    gap: str | None


def check_continuity(
    checkpoint: Checkpoint, events: Sequence[Event], rows: Mapping[str, Category] | None
) -> Continuity:
    """Find the events that connect to `checkpoint`, one to the next.

    `rows` are the consumer's own of the categories that the events are about, as they are at
    `checkpoint`. None means that it keeps no rows: then the events' word is taken for them.
    """
    own = None if rows is None else {row.id: digest.of_category(row) for row in rows.values()}
    epoch, sequence = checkpoint.epoch, checkpoint.sequence
    value = int(checkpoint.digest, 16)
    for index, event in enumerate(events):
        if event.epoch != epoch or event.sequence != sequence + 1:
            gap = f"event {_name(event)} does not follow {epoch}-{sequence}"
            return _stopped(checkpoint, events, index, gap)
        value ^= _taken_out(event, own) ^ _put_in(event, own)
        if digest.text(value) != event.digest:
            gap = f"event {_name(event)} leads to digest {event.digest}, here it is "
            return _stopped(checkpoint, events, index, gap + digest.text(value))
        sequence = event.sequence
    return _stopped(checkpoint, events, len(events), None)


def _taken_out(event: Event, own: dict[str, int] | None) -> int:
    if own is not None:
        return own.pop(event.category.id, 0)
    if event.type == "added":
        return 0
    return digest.of_category(event.before or event.category)


def _put_in(event: Event, own: dict[str, int] | None) -> int:
    if event.type == "removed":
        return 0
    value = digest.of_category(event.category)
    if own is not None:
        own[event.category.id] = value
    return value


def _stopped(
    checkpoint: Checkpoint, events: Sequence[Event], count: int, gap: str | None
) -> Continuity:
    connected = events[:count]
    return Continuity(connected, connected[-1].checkpoint if connected else checkpoint, gap)


def _name(event: Event) -> str:
    return f"{event.epoch}-{event.sequence}"
