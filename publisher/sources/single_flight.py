"""Work that several wait for, and work that must not be broken off."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Lets everyone who wants the same thing at the same time share one piece of work.

    Ten thousand catalogs of one shop want one token: it is read once for all that ask meanwhile.
    """

    def __init__(self) -> None:
        self._under_way: dict[str, _Flight[T]] = {}

    async def share(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what the work called `name` gives: that under way, or else `work`, begun now.

        It is cancelled when the last who waits for it is, who then waits for its end.
        """
        flight = self._under_way.get(name)
        if flight is None:
            flight = self._under_way[name] = _Flight(work)
            flight.task.add_done_callback(lambda _: self._forget(name, flight))
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                self._forget(name, flight)
                flight.task.cancel()
                await ended(flight.task)

    def _forget(self, name: str, flight: "_Flight[T]") -> None:
        if self._under_way.get(name) is flight:
            del self._under_way[name]


class _Flight(Generic[T]):
    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self.task = asyncio.create_task(work())
        self.waiters = 0


async def run_to_completion(work: Awaitable[T]) -> T:
    """Await `work` to its end even if cancelled meanwhile: a stop must not lose new tokens."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await ended(task)
        raise


async def ended(task: asyncio.Future[Any]) -> None:
    """Wait for the end of `task`, however often cancelled meanwhile; what it raises is dropped."""
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
