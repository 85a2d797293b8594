"""The envelope around every answer of TikTok Shop, and how to quote from it safely. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

LONGEST_QUOTE: Final = 200
PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
SUCCESS: Final = re.compile(rb'\s*\{\s*"code"\s*:\s*0\s*,')


@dataclass(frozen=True)
class Envelope:
    """`{"code", "message", "request_id", "data"}`; texts that are missing are empty."""

    code: int
    message: str
    request_id: str
    data: Any

    @classmethod
    def parse(cls, body: bytes) -> Self | None:
        """Parse `body`; None if it is no envelope."""
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

    def describe(self, hidden: Iterable[str]) -> str:
        """Return code, message and request_id for a message of ours, without the secrets `hidden`.

        For example `code 36009003, message 'Internal error', request_id 20260101`.
        """
        parts = [f"code {self.code}", f"message {quoted(self.message, hidden)}"]
        if self.request_id:
            plain = PLAIN_ID.fullmatch(self.request_id)
            shown = self.request_id if plain else quoted(self.request_id, hidden)
            parts.append(f"request_id {shown}")
        return ", ".join(parts)


def starts_with_success(body: bytes) -> bool:
    """Tell whether `body` opens with `"code":0`, as TikTok Shop writes it.

    A good answer has up to 25 MB, and reading it is `snapshot`'s business: this look at its first
    bytes spares the client from parsing it too. An envelope in another order is parsed twice.
    """
    return SUCCESS.match(body) is not None


def quoted(text: str, hidden: Iterable[str] = ()) -> str:
    """Return `text` of a stranger harmless: in quotes, escaped, cut, without what is `hidden`."""
    for secret in hidden:
        text = text.replace(secret, "***")
    return repr(text[:LONGEST_QUOTE]) + ("…" if len(text) > LONGEST_QUOTE else "")
