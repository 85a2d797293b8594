"""A catalog at one moment, as Redis has it, and what in it disagrees. Pure.

Nothing of our code is imported here, so a mistake of ours cannot hide behind itself.
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


class Look(NamedTuple):
    """A catalog at one moment: the raw rows, meta, and the entries behind an offset."""

    rows: dict[bytes, bytes]
    meta: dict[str, str]
    entries: list[tuple[str, dict[bytes, bytes]]]

    @property
    def position(self) -> str:
        """Epoch, sequence and digest, as an event's id has them; empty without meta."""
        if not self.meta:
            return ""
        return "-".join(self.meta.get(each, "?") for each in ("epoch", "sequence", "digest"))


def disagreements(look: Look) -> Iterator[str]:
    """Yield what of meta is not true of the rows."""
    if bad := [id_ for id_, row in _rows(look.rows) if row is None]:
        yield f"the fields {bad} hold no row"
        return
    rows = sound(look)
    digest = digest_of(rows)
    if look.meta and look.meta.get("digest") != digest:
        yield f"the rows have digest {digest}"
    if look.meta and look.meta.get("count") != str(len(rows)):
        yield f"there are {len(rows)} rows, not {look.meta.get('count')}"
    if rows and not look.meta:
        yield "there are rows and no meta"


def backwards(look: Look, source: str, forgiven: Iterable[str] = ()) -> Iterator[str]:
    """Yield what is wrong with the events of meta's epoch, undone one by one from the state.

    It ends at the epoch's beginning, or at an entry that is `forgiven`. What a repair started from
    need not have been a forest.
    """
    yield from disagreements(look)
    tree = sound(look)
    epoch, sequence = epoch_and_sequence(look.position)
    digest = look.meta.get("digest", "")
    forgiven = set(forgiven)
    repaired_at = _begun_at(look, epoch)
    ids: set[str] = set()
    for offset, fields in reversed(look.entries):
        event = event_in(fields)
        if offset in forgiven or (event is not None and event["epoch"] != epoch):
            return
        if event is None:
            yield f"entry {offset} is no event"
            return
        if event["id"] != f"{epoch}-{sequence}-{digest}" or event["source"] != source:
            yield f"entry {offset} is {event['id']}, not {epoch}-{sequence}-{digest}"
            return
        if event["id"] in ids:
            yield f"{event['id']} is there twice"
        ids.add(event["id"])
        digest = _undone(tree, event, digest)
        sequence -= 1
        why = _is_no_forest_near(tree, event)
        if why is not None and event["time"] != repaired_at:
            yield f"before {event['id']}: {why}"


def _begun_at(look: Look, epoch: str) -> str | None:
    """Return when the commit was made that began `epoch`; None if it is not in the stream."""
    events = filter(None, (event_in(fields) for _, fields in look.entries))
    begun = (event for event in events if event["epoch"] == epoch and int(event["sequence"]) == 1)
    return next((event["time"] for event in begun), None)


def undone(look: Look, known: Container[str]) -> tuple[Tree, str, list[Event]]:
    """Undo the events of meta's epoch that led to the state, back to a position that is `known`.

    Return the tree that is left, its position, and those events. None is undone where meta and
    rows disagree, nor behind one that did not lead to where it has to.
    """
    tree, position = sound(look), look.position
    events: list[Event] = []
    entries = look.entries if look.meta and not any(disagreements(look)) else []
    for _, fields in reversed(entries):
        event = event_in(fields)
        if position in known or event is None or event["id"] != position:
            break
        _undone(tree, event, "0")
        events.append(event)
        position = position_before(event)
    return tree, position, events[::-1]


def _undone(tree: Tree, event: Event, digest: str) -> str:
    """Have `tree` as it was before `event`; return the digest that it had."""
    before, row = ends_of(event)
    value = int(digest, 16)
    if row is not None:
        value ^= digest_of_row(tree.pop(row["id"], row))
    if before is not None:
        tree[before["id"]] = before
        value ^= digest_of_row(before)
    return f"{value:016x}"


def _is_no_forest_near(tree: Tree, event: Event) -> str | None:
    id_ = event["data"]["category"]["id"]
    return not_under_a_root(tree, id_) if id_ in tree else None


def sound(look: Look) -> Tree:
    """Return the rows that are rows."""
    return {row["id"]: row for _, row in _rows(look.rows) if row is not None}


def _rows(raw: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, Row | None]]:
    """Yield the rows of a state; None for a field that holds none, byte for byte (contract, 2)."""
    for id_, value in raw.items():
        try:
            row = orjson.loads(value)
            is_sound = list(row) == FIELDS and row["id"].encode() == id_
        except (ValueError, TypeError, AttributeError, KeyError):
            is_sound = False
        yield id_, row if is_sound and orjson.dumps(row) == value else None
