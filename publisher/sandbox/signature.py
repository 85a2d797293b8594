"""TikTok Shop's request signature (TikTok Shop API, Signature), written to check requests.

It shares no code with the publisher's client on purpose: two implementations that must agree.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

UNSIGNED: Final = frozenset({"sign", "access_token"})


def expected(secret: str, path: str, query: Mapping[str, str], body: bytes = b"") -> str:
    """Return the `sign` that a request with these decoded `query` values has to carry."""
    signed = "".join(key + query[key] for key in sorted(query.keys() - UNSIGNED))
    text = b"".join((_bytes(secret), _bytes(path + signed), body, _bytes(secret)))
    return hmac.new(_bytes(secret), text, hashlib.sha256).hexdigest()


def same(given: str, wanted: str) -> bool:
    """Compare two secrets in a time that tells nothing about where they differ."""
    return hmac.compare_digest(_bytes(given), _bytes(wanted))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
