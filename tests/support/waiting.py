"""Wait for a condition instead of sleeping, with patience for a busy machine.

Patience costs nothing unless a test fails. So it is the same for all tests, generous, and grows with the load
that was measured when the session started.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable
from multiprocessing.pool import ThreadPool
from typing import Final, TypeVar

T = TypeVar("T")

LOAD_VARIABLE: Final = "CATEGORY_TESTS_LOAD"
"""Hands the load of the session to its workers, and to processes of tests."""
PROBE: Final = bytes(1 << 25)
"""Bytes to hash; it takes some 0.05 s of a processor."""


def measure_load() -> float:
    """Return how many times longer work takes now than on an idle machine, at least 1.

    It is what a probe on each processor shows, or the demand of the last minute.
    """
    processors = os.cpu_count() or 1
    wall, busy = time.perf_counter(), time.process_time()
    with ThreadPool(processors) as pool:
        pool.map(hashlib.sha256, [PROBE] * processors)
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    return max(1.0, wall * processors / busy, os.getloadavg()[0] / processors)


LOAD: Final = float(os.environ.setdefault(LOAD_VARIABLE, f"{measure_load():.1f}"))
"""The load when the session started, the same in all its processes."""


def patience(seconds: float) -> float:
    """Return how long to wait for what takes `seconds` on an idle machine."""
    return seconds * LOAD


PATIENCE: Final = patience(90)
"""Seconds that a test waits for anything before it fails."""


async def eventually(check: Callable[[], Awaitable[T]], *, within: float = PATIENCE) -> T:
    """Call `check` until its result is true, and return that. Raises TimeoutError."""
    async with asyncio.timeout(within):
        while not (found := await check()):
            await asyncio.sleep(0.01)
    return found


def eventually_now(check: Callable[[], T], *, within: float = PATIENCE) -> T:
    """Do the same in a test that is not a coroutine."""
    end = time.monotonic() + within
    while not (found := check()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {within} s")
        time.sleep(0.01)
    return found
