"""Runs `token_refresher` and `token_storer` as processes to kill or stop."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE


@asynccontextmanager
async def run_process(
    module: str, *arguments: str | Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a module of this folder as a process; yield it when it has printed `ready`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"tests.publisher.sources.{module}",
        *(str(argument) for argument in arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert await read_line(process) == "ready"
        yield process
    finally:
        await kill_process(process)


async def read_line(process: asyncio.subprocess.Process) -> str:
    """Return the next line that the process prints; empty at its end."""
    assert process.stdout
    async with asyncio.timeout(PATIENCE):
        return (await process.stdout.readline()).decode().strip()


async def kill_process(process: asyncio.subprocess.Process) -> None:
    """Kill the process and wait for its end.

    Not by process.kill(), which may take the exit code away from asyncio (it polls first).
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        await process.wait()
