"""Checks of what was logged during a test."""

from collections.abc import Awaitable, Callable
from typing import Any


def logged(logs: list[Any], event: str, times: int = 1) -> Callable[[], Awaitable[bool]]:
    """Return a check for `eventually`: `event` was logged at least `times` times."""

    async def is_logged() -> bool:
        return [log["event"] for log in logs].count(event) >= times

    return is_logged
