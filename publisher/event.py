"""From changes to events: CloudEvents 1.0 in JSON, byte for byte as in contract 3. Pure."""

from collections.abc import Generator, Iterable
from typing import Any, Final, NamedTuple, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

from publisher import digest as digests
from publisher.model import Category, Change, ChangeType

EVENT_TYPES: Final = {change: f"category.{change}" for change in get_args(ChangeType)}
"""An event's `type`, by what happened."""
DATASCHEMAS: Final = {
    change: f"urn:category-publisher:{type_}:1" for change, type_ in EVENT_TYPES.items()
}
_json: Final = msgspec.json.Encoder().encode
"""Writes a struct's fields in their order, and nothing of those that are UNSET."""


class Data(Struct, kw_only=True, frozen=True, gc=False):
    """An event's `data`."""

    category: Category
    before: Category | UnsetType = UNSET
    changed: list[str] | UnsetType = UNSET
    digest: str | UnsetType = UNSET
    """The state's after this event; a hold's changes have none yet."""


class Event(Struct, kw_only=True, frozen=True, gc=False):
    """An event, in the order in which its JSON has the fields."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str = "application/json"
    dataschema: str
    epoch: str
    sequence: str
    data: Data


class Place(NamedTuple):
    """Where in a catalog's history something is: the sequence and digest in an epoch."""

    epoch: str
    sequence: int
    digest: int


def encode(
    catalog: str, place: Place, time: str, changes: Iterable[Change]
) -> Generator[bytes, None, Place]:
    """Yield the events of `changes` that follow on `place`; return the place after the last one.

    `time` is that of their commit, RFC 3339.
    """
    source, (epoch, sequence, value) = f"/catalogs/{catalog}", place
    for change in changes:
        sequence += 1
        value = digests.after(value, change)
        digest = digests.text(value)
        event = Event(
            id=f"{epoch}-{sequence}-{digest}",
            source=source,
            type=EVENT_TYPES[change.type],
            subject=change.category.id,
            time=time,
            dataschema=DATASCHEMAS[change.type],
            epoch=epoch,
            sequence=f"{sequence:020}",
            data=_data(change, digest),
        )
        yield _json(event)
    return Place(epoch, sequence, value)


def row(category: Category) -> bytes:
    """Return the category's JSON as it stands in the state (contract, 2)."""
    return _json(category)


def _data(change: Change, digest: str | UnsetType) -> Data:
    if change.before is None:
        return Data(category=change.category, digest=digest)
    return Data(
        category=change.category, before=change.before, changed=change.changed, digest=digest
    )


def data(change: Change) -> dict[str, Any]:
    """Return what an event says of `change` itself: all of its `data` but the digest."""
    told: dict[str, Any] = msgspec.to_builtins(_data(change, UNSET))
    return told
