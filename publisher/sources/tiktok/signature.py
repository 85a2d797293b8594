"""Signs requests to TikTok Shop (TikTok Shop API, Signature). Pure."""

import hmac
from collections.abc import Mapping
from typing import Final

UNSIGNED: Final = frozenset({"sign", "access_token"})


def sign(secret: str, path: str, query: Mapping[str, str], body: bytes = b"") -> str:
    """Return the query parameter `sign`: 64 lower-case hex digits.

    `path` is the URL's path, `query` its parameters before any percent-encoding; `sign` and
    `access_token` in it are ignored. `body` is the raw body, empty for GET.
    """
    pairs = "".join(f"{key}{query[key]}" for key in sorted(query.keys() - UNSIGNED))
    text = f"{secret}{path}{pairs}".encode() + body + secret.encode()
    return hmac.digest(secret.encode(), text, "sha256").hex()
