"""Bodies that are put together from pieces, each compressed at most once.

A tree of 200,000 rows takes longer to compress than to send, and every answer has another
`request_id`. Raw deflate data that ends with a flush can be joined, so the rows are compressed
once a tree, and only the envelope around them anew.
"""

import zlib
from collections.abc import Iterable
from functools import cached_property
from typing import Final

GZIP_HEADER: Final = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF))
LAST_BLOCK: Final = b"\x03\x00"
FASTEST: Final = 1


class Piece:
    """Some bytes of a body."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @cached_property
    def deflated(self) -> bytes:
        """The bytes as raw deflate blocks that refer to nothing outside of this piece."""
        squeeze = zlib.compressobj(FASTEST, wbits=-zlib.MAX_WBITS)
        return squeeze.compress(self.raw) + squeeze.flush(zlib.Z_SYNC_FLUSH)


def joined(pieces: Iterable[Piece]) -> bytes:
    """Return the body as it is."""
    return b"".join(piece.raw for piece in pieces)


def gzipped(pieces: Iterable[Piece]) -> bytes:
    """Return the body as one gzip member."""
    parts, checksum, size = [GZIP_HEADER], 0, 0
    for piece in pieces:
        parts.append(piece.deflated)
        checksum = zlib.crc32(piece.raw, checksum)
        size += len(piece.raw)
    trailer = checksum.to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little")
    return b"".join((*parts, LAST_BLOCK, trailer))
