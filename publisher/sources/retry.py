"""Trying again within one poll: few times, further and further apart, never for long.

The next poll is the real retry; this one bridges a hiccup, and a short `Retry-After`.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import stamina

from publisher.errors import Transient

T = TypeVar("T")

ATTEMPTS: Final = 5
LAST_START: Final = 45.0
"""Seconds after the first try's start after which no further one begins on our own account."""
PATIENCE: Final = 60.0
"""Seconds in all that are waited because the source asked for it."""


async def retry_transient(call: Callable[[], Awaitable[T]]) -> T:
    """Return what `call` returns; after a Transient, call again, with back-off and jitter.

    A Transient's `not_before` is honoured if it fits into what is left of our patience, and
    otherwise ends the matter at once. The last error is let through as it is.
    """
    began = time.monotonic()

    def wait(error: Exception) -> bool | float:
        left = PATIENCE - (time.monotonic() - began)
        if not isinstance(error, Transient) or error.not_before > left:
            return False
        return error.not_before or True

    async for attempt in stamina.retry_context(
        on=wait,
        attempts=ATTEMPTS,
        timeout=LAST_START,
        wait_initial=1.0,
        wait_max=15.0,
        wait_jitter=1.0,
    ):
        with attempt:
            return await call()
    raise AssertionError("stamina ends with a result or an error")
