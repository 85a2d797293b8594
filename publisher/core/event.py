"""From changes to events: CloudEvents 1.0 in JSON, byte for byte as in contract 3. Pure."""

from collections.abc import Generator, Iterable
from typing import Any, Final, NamedTuple, get_args

import msgspec
import orjson

from publisher.core import digest as digests
from publisher.core.model import Category, Change, ChangeType

EVENT_TYPES: Final = {change: f"category.{change}" for change in get_args(ChangeType)}
"""An event's `type`, by what happened."""
DATASCHEMAS: Final = {
    change: f"urn:category-publisher:{type_}:1" for change, type_ in EVENT_TYPES.items()
}
EVENT: Final = (
    b'{"specversion":"1.0","id":"%b-%%d-%%b","source":"/catalogs/%b","type":"%b","subject":%%b,'
    b'"time":"%b","datacontenttype":"application/json","dataschema":"%b","epoch":"%b",'
    b'"sequence":"%%020d","data":{%%b,"digest":"%%b"}}'
)
"""The JSON of a commit's events of one type, and within that (%%) of one event.

Filled in, since that takes 2.5 us an event where encoding a whole one takes 3.6: a first import of
100,000 categories is a tenth sooner.
"""
_json: Final = msgspec.json.Encoder().encode


class Position(NamedTuple):
    """Where in a catalog's history something is: the sequence and digest in an epoch."""

    epoch: str
    sequence: int
    digest: int


def encode(
    catalog: str, position: Position, time: str, changes: Iterable[Change]
) -> Generator[bytes, None, Position]:
    """Yield the events of `changes` that follow on `place`; return the place after the last one.

    `time` is that of their commit, RFC 3339.
    """
    epoch, sequence, value = position
    forms = {type_: _form(type_, catalog, epoch, time) for type_ in EVENT_TYPES}
    for change in changes:
        sequence += 1
        value = digests.after(value, change)
        digest, subject = digests.text(value).encode(), _json(change.category.id)
        yield forms[change.type] % (sequence, digest, subject, sequence, _told(change), digest)
    return Position(epoch, sequence, value)


def row(category: Category) -> bytes:
    """Return the category's JSON as it stands in the state (contract, 2)."""
    return _json(category)


def data(change: Change) -> dict[str, Any]:
    """Return what an event says of `change` itself: all of its `data` but the digest."""
    told: dict[str, Any] = orjson.loads(b"{%b}" % _told(change))
    return told


def _form(type_: ChangeType, catalog: str, epoch: str, time: str) -> bytes:
    """Return EVENT for a commit, whose words hold nothing that would have to be escaped."""
    words = (epoch, catalog, EVENT_TYPES[type_], time, DATASCHEMAS[type_], epoch)
    return EVENT % tuple(map(str.encode, words))


def _told(change: Change) -> bytes:
    """Return the members of `data` before the digest."""
    if change.before is None:
        return b'"category":%b' % row(change.category)
    rows = row(change.category), row(change.before)
    return b'"category":%b,"before":%b,"changed":%b' % (*rows, _json(change.changed))
