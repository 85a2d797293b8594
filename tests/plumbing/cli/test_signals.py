"""A stop signal lets a command clean up; a reload signal does not end it."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any

import pytest
import typer

from plumbing.cli.signals import (
    STOP_SIGNALS,
    reloading,
    run,
    until_stopped,
    until_stopped_or_reloaded,
)

pytestmark = pytest.mark.contract("7")


class Work:
    """A command that sends itself `signals`, and is cleaned up before it ends."""

    def __init__(self, *signals: int) -> None:
        self._signals = signals
        self.reloads = 0
        self.is_cleaned_up = False

    async def __call__(self) -> int:
        """Run for ever, or return 7 if there are no signals."""
        try:
            for number in self._signals:
                os.kill(os.getpid(), number)
                await asyncio.sleep(0.01)
            if self._signals:
                await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.is_cleaned_up = True
        return 7

    def reload(self) -> None:
        """Count a reload."""
        self.reloads += 1


def exit_code(command: Coroutine[Any, Any, int]) -> int:
    """Run `command` as the command line does."""
    with pytest.raises(typer.Exit) as end:
        run(command)
    return end.value.exit_code


def test_exits_with_the_code_of_the_command() -> None:
    """Without a signal it ends by itself."""
    assert exit_code(Work()()) == 7
    assert exit_code(until_stopped(Work()())) == 7


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_ends_a_command_with_the_code_of_the_shell(number: int) -> None:
    """The command cleans up before it ends."""
    work = Work(number)
    assert exit_code(work()) == 128 + number
    assert work.is_cleaned_up


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_ends_a_command_that_runs_until_it_is_stopped(number: int) -> None:
    """A stop by a signal is not a failure of such a command."""
    work = Work(number)
    assert exit_code(until_stopped(work())) == 0
    assert work.is_cleaned_up


async def test_sighup_reloads_inside_reloading_only() -> None:
    """SIGHUP is ignored before and after."""
    inside, outside = Work(signal.SIGHUP), Work(signal.SIGHUP, signal.SIGTERM)

    async def command() -> int:
        with reloading(inside.reload), pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await inside()
        return await outside()

    assert await until_stopped_or_reloaded(command()) == 0
    assert (inside.reloads, outside.reloads) == (1, 0)
    assert outside.is_cleaned_up
