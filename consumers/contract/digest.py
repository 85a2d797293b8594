"""The digest of a state (contract, 4), implemented independently of the publisher.

Because there are two implementations, a mistake in one of them is noticed by the other.
"""

from collections.abc import Iterable
from hashlib import sha256

from consumers.contract.model import Category


def of_category(category: Category) -> int:
    """Return the 64 bits that `category` contributes to the digest of its state."""
    id_, parent_id, local_name, is_leaf = category
    row = f"{id_}\0{parent_id}\0{local_name}\0{'1' if is_leaf else '0'}"
    return int.from_bytes(sha256(row.encode()).digest()[:8], "big")


def of_state(categories: Iterable[Category]) -> str:
    """Return the digest of the state that consists of `categories`: 16 hex digits."""
    value = 0
    for category in categories:
        value ^= of_category(category)
    return text(value)


def text(value: int) -> str:
    """Return a digest as `meta`, events and checkpoints contain it: 16 hex digits."""
    return f"{value:016x}"
