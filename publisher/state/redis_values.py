"""Parses text that is stored in Redis; returns None for text that is not valid."""

import re
from datetime import datetime
from typing import Final

NUMBER: Final = re.compile(r"[0-9]{1,20}")
OFFSET: Final = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")


def parse_number(text: str | None) -> int | None:
    """Return the plain decimal in `text`, at least 0."""
    return int(text) if text and NUMBER.fullmatch(text) else None


def parse_offset(text: str | None) -> tuple[int, int] | None:
    """Return the two numbers of a stream entry's id, which compare as the entries do."""
    found = OFFSET.fullmatch(text or "")
    return (int(found[1]), int(found[2])) if found else None


def parse_time(text: str | None) -> datetime | None:
    """Return the time in `text`, which must have a time zone."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
