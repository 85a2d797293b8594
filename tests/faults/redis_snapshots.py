"""A catalog in Redis at one moment, and where it disagrees with itself. Pure.

Imports no code of ours: a mistake in it could hide the same mistake in the product.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple

import orjson

from tests.support.contract import (
    FIELDS,
    Event,
    Row,
    Tree,
    digest_of,
    digest_of_row,
    ends_of,
    epoch_and_sequence,
    event_in,
    not_under_a_root,
    position_before,
)


class RedisSnapshot(NamedTuple):
    """A catalog at one moment: the raw rows, meta, and the entries after an offset."""

    rows: dict[bytes, bytes]
    meta: dict[str, str]
    entries: list[tuple[str, dict[bytes, bytes]]]

    @property
    def position(self) -> str:
        """Epoch, sequence and digest, written like an event's id; empty without meta."""
        if not self.meta:
            return ""
        return "-".join(self.meta.get(each, "?") for each in ("epoch", "sequence", "digest"))


def disagreements(snapshot: RedisSnapshot) -> Iterator[str]:
    """Yield where meta and rows disagree."""
    if bad := [id_ for id_, row in _rows(snapshot.rows) if row is None]:
        yield f"the fields {bad} are not rows"
        return
    rows = valid_rows(snapshot)
    digest = digest_of(rows)
    if snapshot.meta and snapshot.meta.get("digest") != digest:
        yield f"the rows have digest {digest}"
    if snapshot.meta and snapshot.meta.get("count") != str(len(rows)):
        yield f"there are {len(rows)} rows, not {snapshot.meta.get('count')}"
    if rows and not snapshot.meta:
        yield "there are rows but no meta"


def check_backwards(
    snapshot: RedisSnapshot, source: str, ignored: Iterable[str] = ()
) -> Iterator[str]:
    """Yield what is wrong with the events of meta's epoch, undoing them one by one.

    Stops at the epoch's first event, or at an entry of `ignored`. The tree before a repair need not
    have been a forest.
    """
    yield from disagreements(snapshot)
    tree = valid_rows(snapshot)
    epoch, sequence = epoch_and_sequence(snapshot.position)
    digest = snapshot.meta.get("digest", "")
    ignored = set(ignored)
    repaired_at = _epoch_started_at(snapshot, epoch)
    ids: set[str] = set()
    for offset, fields in reversed(snapshot.entries):
        event = event_in(fields)
        if offset in ignored or (event is not None and event["epoch"] != epoch):
            return
        if event is None:
            yield f"entry {offset} is not an event"
            return
        if event["id"] != f"{epoch}-{sequence}-{digest}" or event["source"] != source:
            yield f"entry {offset} is {event['id']}, not {epoch}-{sequence}-{digest}"
            return
        if event["id"] in ids:
            yield f"{event['id']} occurs twice"
        ids.add(event["id"])
        digest = _undo_event(tree, event, digest)
        sequence -= 1
        why = _forest_problem(tree, event)
        if why is not None and event["time"] != repaired_at:
            yield f"before {event['id']}: {why}"


def _epoch_started_at(snapshot: RedisSnapshot, epoch: str) -> str | None:
    """Return the time of the commit that started `epoch`; None if it was trimmed."""
    events = filter(None, (event_in(fields) for _, fields in snapshot.entries))
    begun = (event for event in events if event["epoch"] == epoch and int(event["sequence"]) == 1)
    return next((event["time"] for event in begun), None)


def undo_events(snapshot: RedisSnapshot, known: Container[str]) -> tuple[Tree, str, list[Event]]:
    """Undo the events of meta's epoch, back to a position that is `known`.

    Return the tree before them, its position, and the events. None is undone if meta and rows
    disagree; undoing stops at an event that did not lead to the position after it.
    """
    tree, position = valid_rows(snapshot), snapshot.position
    events: list[Event] = []
    entries = snapshot.entries if snapshot.meta and not any(disagreements(snapshot)) else []
    for _, fields in reversed(entries):
        event = event_in(fields)
        if position in known or event is None or event["id"] != position:
            break
        _undo_event(tree, event, "0")
        events.append(event)
        position = position_before(event)
    return tree, position, events[::-1]


def _undo_event(tree: Tree, event: Event, digest: str) -> str:
    """Undo `event` in `tree`; return the digest before it."""
    before, row = ends_of(event)
    value = int(digest, 16)
    if row is not None:
        value ^= digest_of_row(tree.pop(row["id"], row))
    if before is not None:
        tree[before["id"]] = before
        value ^= digest_of_row(before)
    return f"{value:016x}"


def _forest_problem(tree: Tree, event: Event) -> str | None:
    id_ = event["data"]["category"]["id"]
    return not_under_a_root(tree, id_) if id_ in tree else None


def valid_rows(snapshot: RedisSnapshot) -> Tree:
    """Return the rows that have the documented form."""
    return {row["id"]: row for _, row in _rows(snapshot.rows) if row is not None}


def _rows(raw: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, Row | None]]:
    """Yield each field's row; None if it is not one, byte for byte (contract, 2)."""
    for id_, value in raw.items():
        try:
            row = orjson.loads(value)
            is_valid = list(row) == FIELDS and row["id"].encode() == id_
        except (ValueError, TypeError, AttributeError, KeyError):
            is_valid = False
        yield id_, row if is_valid and orjson.dumps(row) == value else None
