"""Asking until there is an answer: what a consumer does about an outage, and `run` at its start.

Such questions change nothing, so they may be asked again as often as one likes. An outage
is one line in the log when it starts and one when it ends.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import redis.exceptions
import stamina

from plumbing import logs
from plumbing.redis.error_advice import reaction

log = logs.logger(__name__)

T = TypeVar("T")

FIRST_WAIT: Final = 0.1
LONGEST_WAIT: Final = 5.0
"""Seconds between two questions; longer would only make a consumer late after a restart."""


class Patience:
    """Asks `whom` at `address` again while `is_passing` says of its errors that they may pass.

    With `once` it asks only once.
    """

    def __init__(
        self, whom: str, address: str, is_passing: Callable[[Exception], bool], *, once: bool
    ) -> None:
        self._gone = f"{whom} does not answer, waiting"
        self._back = f"{whom} answers again"
        self._address = address
        self._is_passing = is_passing
        self._once = once
        self._is_away = False

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Return the answer; raises the error that is not waited for.

        Nearly always there is one at once. Asking for it within stamina's loop costs 130 us, and
        this 0.4; a bare XADD comes to a blocking XREAD in 350.
        """
        try:
            answer = await question()
        except Exception as error:
            if self._once or not self._waiting_helps(error):
                raise
            await asyncio.sleep(FIRST_WAIT)
            answer = await self._ask_again(question)
        if self._is_away:
            self._is_away = False
            log.info(self._back, address=self._address)
        return answer

    async def _ask_again(self, question: Callable[[], Awaitable[T]]) -> T:
        async for attempt in stamina.retry_context(
            on=self._waiting_helps,
            attempts=None,
            timeout=None,
            wait_initial=FIRST_WAIT,
            wait_max=LONGEST_WAIT,
        ):
            with attempt:
                answer = await question()
        return answer

    def _waiting_helps(self, error: Exception) -> bool:
        if not self._is_passing(error):
            return False
        if not self._is_away:
            self._is_away = True
            log.warning(self._gone, address=self._address, error=str(error))
        return True


def is_redis_passing(error: Exception) -> bool:
    """Tell whether `error` keeps a reader waiting and may pass by itself (`plumbing.refusals`)."""
    if not isinstance(error, redis.exceptions.RedisError | OSError):
        return False
    what = reaction(error)
    return what.passing and what.concerns_reads
