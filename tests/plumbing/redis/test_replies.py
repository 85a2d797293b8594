"""Replies are read as text or bytes, whether or not the client decodes them."""

import pytest

from plumbing.redis.replies import as_bytes, as_text, as_texts, chunks


@pytest.mark.parametrize(
    ("reply", "raw", "text"),
    [
        (None, b"", ""),
        (b"Caf\xc3\xa9", b"Caf\xc3\xa9", "Café"),
        ("Café", b"Caf\xc3\xa9", "Café"),
        (b"\xff", b"\xff", "\ufffd"),
    ],
)
def test_reads_bytes_and_text(reply: bytes | str | None, raw: bytes, text: str) -> None:
    """What is not UTF-8 becomes a replacement character."""
    assert as_bytes(reply) == raw
    assert as_text(reply) == text


def test_reads_a_hash_as_text() -> None:
    """Its fields and its values."""
    assert as_texts({b"epoch": b"9f3c1a2b", "count": "3"}) == {"epoch": "9f3c1a2b", "count": "3"}


def test_chunks_have_at_most_the_size() -> None:
    """Together they are all items, in their order."""
    assert list(chunks("abcde", 2)) == ["ab", "cd", "e"]
    assert list(chunks("", 2)) == []
