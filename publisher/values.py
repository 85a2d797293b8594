"""What stands in Redis as Python values; what cannot be read is no error, but told apart."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import orjson

T = TypeVar("T")


def json_object(value: bytes | str | None) -> dict[str, Any] | None:
    """Return the JSON object in `value`; None where there is none."""
    if value is None:
        return None
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def hold(value: bytes | str | None) -> dict[str, Any] | None:
    """Return the hold; one that cannot be read is a hold all the same, of nothing known."""
    return None if value is None else json_object(value) or {}


def raw(value: bytes | str | None) -> bytes:
    """Return the bytes of `value`; none where there is none."""
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else value


def text(value: bytes | str | None) -> str:
    """Return the text of `value`, with marks in place of what is no UTF-8."""
    return raw(value).decode(errors="replace")


def texts(fields: Mapping[Any, Any]) -> dict[str, str]:
    """Return a hash as texts."""
    return {text(field): text(value) for field, value in fields.items()}


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield `items` in pieces of `size`: a pipeline is better not endless."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]
