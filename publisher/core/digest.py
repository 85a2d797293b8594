"""The digest: a fingerprint of a whole state that can be kept per event (contract, 4). Pure.

Digests are 64-bit integers here and 16 lower-case hex digits outside (`text`). XOR takes a
category out as well as in. A consumer has its own implementation; the two must agree.
"""

from collections.abc import Iterable
from functools import reduce
from hashlib import sha256
from operator import xor
from struct import Struct
from typing import Final

from publisher.core.model import Category, Change

EMPTY: Final = 0
"""The digest of an empty state."""
_first_8_bytes: Final = Struct(">Q24x").unpack
"""Big-endian, of 32; of 100,000 digests 0.03 s sooner than `int.from_bytes` of a slice."""


def of_category(category: Category) -> int:
    """Return the first 8 bytes, big-endian, of SHA-256 over the category's fields."""
    leaf = "1" if category.is_leaf else "0"
    fields = f"{category.id}\0{category.parent_id}\0{category.local_name}\0{leaf}"
    value: int = _first_8_bytes(sha256(fields.encode()).digest())[0]
    return value


def of(categories: Iterable[Category]) -> int:
    """Return the XOR of the digests of `categories`."""
    return reduce(xor, map(of_category, categories), EMPTY)


def after(digest: int, change: Change) -> int:
    """Return the digest of the state with `digest` after `change`."""
    if change.before is not None:
        digest ^= of_category(change.before)
    return digest ^ of_category(change.category)


def text(digest: int) -> str:
    """Return `digest` as it stands in Redis and in events."""
    return f"{digest:016x}"
