"""The request signature that the sandbox expects (TikTok Shop API, Signature).

It shares no code with the publisher's client on purpose: two implementations have to agree.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

UNSIGNED: Final = frozenset({"sign", "access_token"})
"""Query parameters that are not signed."""


def expected_signature(secret: str, path: str, query: Mapping[str, str], body: bytes = b"") -> str:
    """Return the `sign` that a request with these decoded `query` values must have."""
    signed = "".join(key + query[key] for key in sorted(query.keys() - UNSIGNED))
    text = b"".join((_encode(secret), _encode(path + signed), body, _encode(secret)))
    return hmac.new(_encode(secret), text, hashlib.sha256).hexdigest()


def is_same_secret(given: str, wanted: str) -> bool:
    """Compare two secrets in a time that does not depend on where they differ."""
    return hmac.compare_digest(_encode(given), _encode(wanted))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
