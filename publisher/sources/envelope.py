"""Parses TikTok Shop's envelope, and describes it without secrets.

The source `http` uses it too: its server may return answers of TikTok Shop.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, Self

import orjson

LONGEST_QUOTE: Final = 200
PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
STARTS_WITH_SUCCESS: Final = re.compile(rb'\s*\{\s*"code"\s*:\s*0\s*,')


class Envelope(NamedTuple):
    """`{"code", "message", "request_id", "data"}`; a missing text is empty."""

    code: int
    message: str
    request_id: str
    data: Any

    @classmethod
    def parse(cls, body: bytes) -> Self | None:
        """Parse `body`; return None if it is not an envelope."""
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(found, dict) or type(found.get("code")) is not int:
            return None
        message, request_id = found.get("message"), found.get("request_id")
        return cls(
            code=found["code"],
            message=message if isinstance(message, str) else "",
            request_id=request_id if isinstance(request_id, str) else "",
            data=found.get("data"),
        )

    def describe(self, secrets: Iterable[str]) -> str:
        """Return code, message and request_id as text, with `secrets` replaced by `***`.

        For example `code 36009003, message 'Internal error', request_id 20260101`.
        """
        parts = [f"code {self.code}", f"message {_quote(self.message, secrets)}"]
        if self.request_id:
            quoted = _quote(self.request_id, secrets)
            shown = quoted[1:-1] if PLAIN_ID.fullmatch(quoted[1:-1]) else quoted
            parts.append(f"request_id {shown}")
        return ", ".join(parts)


def starts_with_success(body: bytes) -> bool:
    """Return whether `body` starts with `"code":0`, as TikTok Shop writes it.

    A good answer has up to 25 MB and is parsed in `core`. This check of its first bytes saves a
    second parse; an envelope whose keys have another order is parsed twice.
    """
    return STARTS_WITH_SUCCESS.match(body) is not None


def _quote(text: str, secrets: Iterable[str]) -> str:
    """Return `text` quoted, escaped and cut, with `secrets` replaced by `***`."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return repr(text[:LONGEST_QUOTE]) + ("…" if len(text) > LONGEST_QUOTE else "")
