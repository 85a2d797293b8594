"""Encodes changes as events: CloudEvents 1.0 in JSON (contract, 3)."""

from collections.abc import Generator, Iterable
from typing import Any, Final, NamedTuple, get_args

import msgspec
import orjson

from publisher.core import digest as digests
from publisher.core.model import Category, Change, ChangeType

EVENT_TYPES: Final = {change: f"category.{change}" for change in get_args(ChangeType)}
"""An event's `type`, by the type of its change."""
DATASCHEMAS: Final = {
    change: f"urn:category-publisher:{type_}:1" for change, type_ in EVENT_TYPES.items()
}
EVENT: Final = (
    b'{"specversion":"1.0","id":"%b-%%d-%%b","source":"/catalogs/%b","type":"%b","subject":%%b,'
    b'"time":"%b","datacontenttype":"application/json","dataschema":"%b","epoch":"%b",'
    b'"sequence":"%%020d","data":{%%b,"digest":"%%b"}}'
)
"""A template: the first pass (%) fills in a commit and a type, the second (%%) one event.

To fill it in takes 2.5 us an event, to encode a whole event takes 3.6: this makes a first import of
100,000 categories 10 % faster. The values of the first pass never need to be escaped.
"""
_json: Final = msgspec.json.Encoder().encode


class Position(NamedTuple):
    """Where in a catalog's history something is (contract, 1)."""

    epoch: str
    sequence: int
    digest: int


def encode(
    catalog: str, start: Position, time: str, changes: Iterable[Change]
) -> Generator[bytes, None, Position]:
    """Yield the events of `changes`, which follow `start`; return the end's position.

    `time` is that of their commit, RFC 3339. Each event is byte for byte as the contract has it.
    """
    epoch, sequence, value = start
    templates = {}
    for type_, event_type in EVENT_TYPES.items():
        commit = (epoch, catalog, event_type, time, DATASCHEMAS[type_], epoch)
        templates[type_] = EVENT % tuple(map(str.encode, commit))
    for change in changes:
        sequence += 1
        value = digests.after(value, change)
        digest, subject = digests.text(value).encode(), _json(change.category.id)
        facts = (sequence, digest, subject, sequence, _members(change), digest)
        yield templates[change.type] % facts
    return Position(epoch, sequence, value)


def row(category: Category) -> bytes:
    """Return the category's JSON as it is stored in the state (contract, 2)."""
    return _json(category)


def data(change: Change) -> dict[str, Any]:
    """Return the `data` of the change's event, without the digest."""
    found: dict[str, Any] = orjson.loads(b"{%b}" % _members(change))
    return found


def _members(change: Change) -> bytes:
    """Return the JSON members of `data` that come before the digest."""
    if change.before is None:
        return b'"category":%b' % row(change.category)
    rows = row(change.category), row(change.before)
    return b'"category":%b,"before":%b,"changed":%b' % (*rows, _json(change.changed))
