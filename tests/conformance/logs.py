"""What a consumer said meanwhile."""

from collections.abc import Awaitable, Callable
from typing import Any


def saying(logs: list[Any], event: str, times: int = 1) -> Callable[[], Awaitable[bool]]:
    """Return a look whether `event` was logged at least so many times."""

    async def look() -> bool:
        return [log["event"] for log in logs].count(event) >= times

    return look


def outage(logs: list[Any]) -> list[str]:
    """Return what was said of the database, shortened."""
    told = [log["event"] for log in logs if "database" in log["event"]]
    return [each.removeprefix("database ").partition(",")[0] for each in told]
