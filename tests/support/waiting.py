"""Wait for a condition instead of sleeping."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

WAIT_SECONDS = 20.0
"""Seconds; far more than any condition takes, even on a busy machine."""


async def eventually(check: Callable[[], Awaitable[T]], *, within: float = WAIT_SECONDS) -> T:
    """Call `check` until its result is true, and return that. Raises TimeoutError."""
    async with asyncio.timeout(within):
        while not (found := await check()):
            await asyncio.sleep(0.01)
    return found


def eventually_now(check: Callable[[], T], *, within: float = WAIT_SECONDS) -> T:
    """Do the same in a test that is not a coroutine."""
    end = time.monotonic() + within
    while not (found := check()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {within} s")
        time.sleep(0.01)
    return found
