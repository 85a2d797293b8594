"""Replies of Redis as text or bytes, and names in chunks.

The chunks keep the size of pipelines bounded.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def as_bytes(value: bytes | str | None) -> bytes:
    """Return the bytes of `value`; b"" for None."""
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else value


def as_text(value: bytes | str | None) -> str:
    """Return the text of `value`, with replacement characters for what is not UTF-8."""
    return as_bytes(value).decode(errors="replace")


def as_texts(fields: Mapping[Any, Any]) -> dict[str, str]:
    """Return the fields and values of a hash as text."""
    return {as_text(field): as_text(value) for field, value in fields.items()}


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield `items` in chunks of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
