"""What stands in Redis as Python values; what cannot be read is no error, but told apart."""

import re
from datetime import datetime
from typing import Any, Final

import orjson

NUMBER: Final = re.compile(r"[0-9]{1,20}")
OFFSET: Final = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")


def json_object(value: bytes | str | None) -> dict[str, Any] | None:
    """Return the JSON object in `value`; None where there is none."""
    if value is None:
        return None
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def number(text: str | None) -> int | None:
    """Return the plain decimal in `text`; None where there is none."""
    return int(text) if text and NUMBER.fullmatch(text) else None


def offset(text: str | None) -> tuple[int, int] | None:
    """Return the two numbers of a stream entry's id, which sort; None where it is no such id."""
    found = OFFSET.fullmatch(text or "")
    return (int(found[1]), int(found[2])) if found else None


def moment(text: str | None) -> datetime | None:
    """Return the time in `text`; None where there is none that has a zone."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
