"""What swap.lua compares and writes."""

from typing import Any

import pytest

from publisher.sources.tiktok.tokens.redis_store import SWAP

KEY = "pair"


@pytest.mark.parametrize(
    ("stored", "expected", "new", "reply", "left"),
    [
        ("", "", "b", 1, b"b"),
        ("", "a", "b", 0, None),
        ("a", "a", "b", 1, b"b"),
        ("a", "", "b", 0, b"a"),
        ("a", "c", "b", 0, b"a"),
        ("b", "a", "b", 1, b"b"),
        ("b", "", "b", 1, b"b"),
    ],
)
async def test_only_the_expected_value_is_replaced(
    client: Any, stored: str, expected: str, new: str, reply: int, left: bytes | None
) -> None:
    """The new value may be stored already, by a script whose reply was lost."""
    if stored:
        await client.set(KEY, stored)
    assert await client.eval(SWAP, 1, KEY, expected, new) == reply
    assert await client.get(KEY) == left
