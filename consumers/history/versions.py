"""Which versions of categories begin and end with events and resyncs. Pure.

The recorded history is ordered by (resync, sequence). Between two resyncs all events have one
epoch and rising sequences without a gap. A resync may start another epoch or, after a failover, go
back in the same one. Recorded times never go back: while the publisher's clock is behind the last
recorded time, events get that time.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from consumers.contract.model import Category, Event, Rows


class RecordPosition(NamedTuple):
    """Where something was recorded: at an event, or at a resync if `event` is None."""

    at: str
    """The time, RFC 3339."""
    event: str | None
    """The event's id."""
    resync: int
    """The number of the resync: this one, or the last one before the event."""
    sequence: int
    """That of the event, or of the state to which the resync went."""


class Version(NamedTuple):
    """A category from `begin` until just before `end`; None if it is still valid."""

    category: Category
    begin: RecordPosition
    end: RecordPosition | None = None


class ResyncCounts(NamedTuple):
    """How many categories a resync found added, updated and removed."""

    added: int
    updated: int
    removed: int


def apply_events(
    valid: Iterable[Version], events: Sequence[Event], last: RecordPosition
) -> list[Version]:
    """Return each version that `events` end or begin, as it is after all of them.

    `valid` are the versions of the events' categories that are valid before them; `last` is the
    last position recorded so far.
    """
    current = {version.category.id: version for version in valid}
    ended: list[Version] = []
    at = last.at
    for event in events:
        at = max(at, event.time)
        position = RecordPosition(at, event.checkpoint.position, last.resync, event.sequence)
        id_ = event.category.id
        if id_ in current:
            ended.append(current.pop(id_)._replace(end=position))
        if event.type != "removed":
            current[id_] = Version(event.category, position)
    return [*ended, *current.values()]


def apply_snapshot(
    valid: Collection[Version], rows: Rows, position: RecordPosition
) -> tuple[list[Version], ResyncCounts]:
    """Return each version that ends or begins at the resync at `position` to `rows`.

    `valid` are all versions that are valid before it, possibly several of one category if somebody
    has changed the table: then at most one of them stays valid.
    """
    kept = {v.category.id: v for v in valid if rows.get(v.category.id) == v.category}
    ids = {version.category.id for version in valid}
    ended = [v._replace(end=position) for v in valid if kept.get(v.category.id) is not v]
    begun = [Version(row, position) for id_, row in rows.items() if id_ not in kept]
    common = ids & rows.keys()
    counts = ResyncCounts(len(rows) - len(common), len(common) - len(kept), len(ids) - len(common))
    return [*ended, *begun], counts
