"""Runs work once for simultaneous callers, and runs work without interruption."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Shares one run of a coroutine among all callers that ask for it meanwhile.

    Ten thousand catalogs of one shop need one token: it is read once for all of them.
    """

    def __init__(self) -> None:
        self._running: dict[str, _Run[T]] = {}

    async def share(self, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of the run under `key`; start `work` if there is none.

        The run is cancelled when its last caller is cancelled, who then waits for its end.
        """
        run = self._running.get(key)
        if run is None:
            run = self._running[key] = _Run(asyncio.create_task(work()))
            run.task.add_done_callback(lambda _: self._forget(key, run))
        run.waiters += 1
        try:
            return await asyncio.shield(run.task)
        finally:
            run.waiters -= 1
            if not run.waiters and not run.task.done():
                # forgotten first: a caller that comes now must not join a cancelled run
                self._forget(key, run)
                run.task.cancel()
                await _wait_for_end(run.task)

    def _forget(self, key: str, run: "_Run[T]") -> None:
        if self._running.get(key) is run:
            del self._running[key]


@dataclass(eq=False)
class _Run(Generic[T]):
    task: asyncio.Task[T]
    waiters: int = 0


async def run_to_completion(work: Awaitable[T]) -> T:
    """Await `work` to its end even if cancelled: a stop must not lose new tokens."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await _wait_for_end(task)
        raise


async def _wait_for_end(task: asyncio.Future[Any]) -> None:
    """Wait until `task` has ended, even if cancelled meanwhile; drop its exception."""
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # marks it as retrieved: asyncio would log it otherwise
