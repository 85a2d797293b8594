"""Asking Redis until it answers: what a consumer does about an outage.

A reader reads, so a question may be asked again as often as one likes. An outage is one line in
the log when it starts and one when it ends.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import redis.exceptions
import stamina
import structlog

from plumbing.server import UNREACHABLE, Server

log = structlog.get_logger(__name__)

T = TypeVar("T")

FIRST_WAIT: Final = 0.1
LONGEST_WAIT: Final = 5.0
"""Seconds between two questions; longer would only make a consumer late after a restart."""
NOT_NOW: Final = (*UNREACHABLE, redis.exceptions.ClusterDownError, redis.exceptions.TryAgainError)
"""A replica that lost its primary says MASTERDOWN, which is a ClusterDownError."""
NEVER: Final = (redis.exceptions.AuthenticationError, redis.exceptions.AuthorizationError)
"""To redis-py these are ConnectionErrors, but waiting changes no password."""


class Patience:
    """Asks `server` again while it is away, or only once (`once`)."""

    def __init__(self, server: Server, *, once: bool) -> None:
        self._server = server
        self._once = once
        self._is_away = False

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Return the answer; RedisError if the server refuses (or with `once` is away)."""
        try:
            answer = await self._ask(question)
        except (redis.exceptions.RedisError, OSError) as error:
            raise self._server.error(error) from error
        if self._is_away:
            self._is_away = False
            log.info("redis answers again", address=self._server.address)
        return answer

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        async for attempt in stamina.retry_context(
            on=self._waiting_helps,
            attempts=1 if self._once else None,
            timeout=None,
            wait_initial=FIRST_WAIT,
            wait_max=LONGEST_WAIT,
        ):
            with attempt:
                return await question()
        raise AssertionError("stamina ends with an answer or an error")

    def _waiting_helps(self, error: Exception) -> bool:
        if not is_passing(error):
            return False
        if not self._is_away and not self._once:
            self._is_away = True
            log.warning(
                "redis does not answer, waiting", address=self._server.address, error=str(error)
            )
        return True


def is_passing(error: Exception) -> bool:
    """Tell whether `error` may go away by itself: restart, network, loading, a long script."""
    if isinstance(error, NEVER):
        return False
    return isinstance(error, NOT_NOW) or (
        isinstance(error, redis.exceptions.ResponseError) and str(error).startswith("BUSY ")
    )
