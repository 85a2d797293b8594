"""Versions of categories: which ones begin and end with events and with resyncs. Pure.

Of whatever was recorded, the order is that of (resync, sequence): between two resyncs all events
are of one epoch, gapless and rising, though the next resync may begin another epoch or, after a
failover, go back in this one. Times agree with that order, since none is taken that is before the
last: where the publisher's clock was set back, time stands still until it has caught up.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from consumers.contract.model import Category, Event, Rows


class Mark(NamedTuple):
    """A moment of the record: what was recorded then is `event`, or if that is None the resync.

    `at` is RFC 3339; `event` an event's id; `resync` the number of the last resync until then;
    `sequence` the event's, or that of the state that the resync found.
    """

    at: str
    event: str | None
    resync: int
    sequence: int


class Version(NamedTuple):
    """A category as it was from `begin` until just before `end`; None is until now."""

    category: Category
    begin: Mark
    end: Mark | None = None


class Counts(NamedTuple):
    """How many categories a resync found to be other than they were."""

    added: int
    updated: int
    removed: int


def follow(valid: Iterable[Version], events: Sequence[Event], last: Mark) -> list[Version]:
    """Return each version that one of `events` ends or begins, in the state it has behind them.

    `valid` are the versions that are valid before them, of the categories that they are about;
    `last` is the last moment recorded so far.
    """
    current = {version.category.id: version for version in valid}
    ended: list[Version] = []
    at = last.at
    for event in events:
        at = max(at, event.time)
        mark = Mark(at, event.checkpoint.position, last.resync, event.sequence)
        id_ = event.category.id
        if id_ in current:
            ended.append(current.pop(id_)._replace(end=mark))
        if event.type != "removed":
            current[id_] = Version(event.category, mark)
    return [*ended, *current.values()]


def resync(valid: Collection[Version], rows: Rows, mark: Mark) -> tuple[list[Version], Counts]:
    """Return each version that ends or begins where `rows` differ from the `valid` ones."""
    kept = {v.category.id: v for v in valid if rows.get(v.category.id) == v.category}
    ids = {version.category.id for version in valid}
    ended = [v._replace(end=mark) for v in valid if kept.get(v.category.id) is not v]
    begun = [Version(row, mark) for id_, row in rows.items() if id_ not in kept]
    common = ids & rows.keys()
    counts = Counts(len(rows) - len(common), len(common) - len(kept), len(ids) - len(common))
    return [*ended, *begun], counts
