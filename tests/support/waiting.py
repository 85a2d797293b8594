"""Waiting for a condition instead of sleeping for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds; far more than anything here takes, even on a busy machine."""


async def eventually(look: Callable[[], Awaitable[T]], *, within: float = PATIENCE) -> T:
    """Return what `look` gives as soon as that is true; TimeoutError if it never is."""
    async with asyncio.timeout(within):
        while not (found := await look()):
            await asyncio.sleep(0.01)
    return found


def eventually_now(look: Callable[[], T], *, within: float = PATIENCE) -> T:
    """Do the same for a test that is not a coroutine."""
    end = time.monotonic() + within
    while not (found := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {within} s")
        time.sleep(0.01)
    return found
