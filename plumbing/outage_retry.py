"""Repeats a call during an outage, with longer and longer waits in between."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from plumbing import logs
from plumbing.edge_log import EdgeLog

log = logs.logger(__name__)

T = TypeVar("T")

FIRST_WAIT: Final = 0.1
LONGEST_WAIT: Final = 5.0
"""Seconds between two attempts; longer would only delay a consumer after a restart."""


def backoff_seconds(
    failures: int, first: float = FIRST_WAIT, longest: float = LONGEST_WAIT
) -> float:
    """Return the wait after `failures` failed attempts in a row, from 0.

    The wait doubles from `first` to `longest`. Up to half of it is left out at random, so that
    clients of one server do not return all at once.
    """
    wait = min(longest, first * 2.0 ** min(failures, 30))
    return wait * random.uniform(0.5, 1.0)  # noqa: S311  no cryptography here


@dataclass(frozen=True)
class OutageRetry:
    """Repeats a call that changes nothing until it succeeds; logs each outage.

    It logs when an outage starts and when it ends. `service` and `address` name in the log what is
    unavailable. `is_transient` decides which errors are worth another attempt; with `once` there is
    only one attempt.
    """

    service: str
    address: str
    is_transient: Callable[[Exception], bool]
    once: bool = False
    _edge: EdgeLog = field(init=False, default_factory=lambda: EdgeLog(log))

    async def call(self, request: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `request`. Raises its error if that is not transient."""
        failures = 0
        while True:
            try:
                result = await request()
            except Exception as error:
                if self.once or not self.is_transient(error):
                    raise
                message = f"{self.service} unavailable, retrying"
                self._edge.down(message, address=self.address, error=str(error))
                await asyncio.sleep(backoff_seconds(failures))
                failures += 1
            else:
                self._edge.up(f"{self.service} available again", address=self.address)
                return result
