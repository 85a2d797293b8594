"""Runs a command until it is done, or until a signal stops or reloads it."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from signal import Signals
from typing import Any, Final, NoReturn

import typer

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(command: Coroutine[Any, Any, int]) -> NoReturn:
    """Run `command` to its end and exit with the code that it returns.

    A stop signal cancels it, so that it cleans up; the exit code is the shell's for that signal.
    """
    code = asyncio.run(_await_or_stop(command, STOP_SIGNALS, lambda number: 128 + number))
    raise typer.Exit(code)


async def until_stopped(work: Awaitable[int], signals: Iterable[Signals] = STOP_SIGNALS) -> int:
    """Await `work` until it ends or one of `signals` stops it.

    A stop by a signal counts as success. Returns the exit code of `work`, or 0 after a signal.
    """
    return await _await_or_stop(work, signals, lambda _number: 0)


async def until_stopped_or_reloaded(work: Awaitable[int]) -> int:
    """Await `work` as `until_stopped` does, with SIGHUP for `reloading`.

    Outside `reloading`, SIGHUP does nothing.
    """
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
    return await until_stopped(work, set(STOP_SIGNALS) - {signal.SIGHUP})


@contextlib.contextmanager
def reloading(reload: Callable[[], None]) -> Iterator[None]:
    """Call `reload` on each SIGHUP. Use it inside `until_stopped_or_reloaded`."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        loop.add_signal_handler(signal.SIGHUP, lambda: None)


async def _await_or_stop(
    work: Awaitable[int], signals: Iterable[Signals], code_of: Callable[[Signals], int]
) -> int:
    """Await `work`, and cancel it at the first signal.

    Later signals do nothing: `work` may take its time to clean up.
    """
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    received: list[Signals] = []

    def stop(number: Signals) -> None:
        received.append(number)
        if len(received) == 1:
            task.cancel()

    for number in signals:
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not received:
            raise
        return code_of(received[0])
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
