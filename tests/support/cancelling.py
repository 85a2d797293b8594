"""Cancels a coroutine at one of its awaits after the other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from itertools import count
from typing import Any, Generic, TypeVar

from tests.support.waiting import PATIENCE

T = TypeVar("T")


class _CancelledAt(Generic[T]):
    """Runs `work`, and cancels its task where it suspends for the nth time."""

    def __init__(self, work: Coroutine[Any, Any, T], number: int) -> None:
        self.is_cancelled = False
        self._work = work
        self._left = number

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._work.__await__()
        answer, throw = None, None
        while True:
            try:
                waiting_for = steps.send(answer) if throw is None else steps.throw(throw)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            self._left -= 1
            task = asyncio.current_task()
            if self._left == 0 and task is not None:
                self.is_cancelled = task.cancel()  # arrives where `work` has just suspended
            answer, throw = None, None
            try:
                answer = yield waiting_for
            except BaseException as error:  # noqa: BLE001  it is for `work`
                throw = error


async def cancelled_at_each_await(
    work: Callable[[], Coroutine[Any, Any, T]],
) -> AsyncIterator[int]:
    """Cancel `work` at its first await, then a new one at its second, and so on.

    Ends once an await is not reached. Yields the number of each, to check what it left.
    Raises AssertionError if `work` ignored a cancellation, or never suspends.
    """

    async def run(cancelled: _CancelledAt[T]) -> None:
        await cancelled

    for number in count(1):
        task = asyncio.create_task(run(cancelled := _CancelledAt(work(), number)))
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([task])
        assert task.cancelled() == cancelled.is_cancelled, f"ignored at await {number}"
        if not task.cancelled():
            task.result()
            assert number > 1, "there is no await"
            return
        yield number
