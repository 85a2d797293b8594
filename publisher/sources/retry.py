"""Repeats a failed request within one poll, with back-off, for about a minute.

The next poll is the real retry. This one only bridges a short failure or a short `Retry-After`.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import stamina

from publisher.errors import Transient

T = TypeVar("T")

ATTEMPTS: Final = 5
LAST_START: Final = 45.0
"""Seconds after the start of the first attempt. No attempt starts later because of back-off."""
LONGEST_REQUESTED_WAIT: Final = 60.0
"""The most seconds, in total, to wait because the source asks for it."""


async def retry_transient(call: Callable[[], Awaitable[T]]) -> T:
    """Return the result of `call`; repeat it, with back-off, after a Transient error.

    Waits as long as the error's `not_before` says, if that fits into LONGEST_REQUESTED_WAIT;
    otherwise raises at once. Raises the last error unchanged.
    """
    start = time.monotonic()

    def wait_after(error: Exception) -> bool | float:
        time_left = LONGEST_REQUESTED_WAIT - (time.monotonic() - start)
        if not isinstance(error, Transient) or error.not_before > time_left:
            return False
        return error.not_before or True

    retry = stamina.AsyncRetryingCaller(
        attempts=ATTEMPTS, timeout=LAST_START, wait_initial=1.0, wait_max=15.0, wait_jitter=1.0
    )
    return await retry(wait_after, call)
