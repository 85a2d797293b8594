"""Processes of their own that use tokens, and are killed or stopped at the moment of a test."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.paths import ROOT

SECONDS = 30.0


@asynccontextmanager
async def running(what: str, *words: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `refresher` or `storer` as a process; yield it when it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"tests.publisher.sources.{what}",
        *(str(word) for word in words),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert await said(process) == "ready"
        yield process
    finally:
        await killed(process)


async def said(process: asyncio.subprocess.Process) -> str:
    assert process.stdout
    async with asyncio.timeout(SECONDS):
        return (await process.stdout.readline()).decode().strip()


async def killed(process: asyncio.subprocess.Process) -> None:
    """Kill the process and wait for its end.

    Not by process.kill(), which may take the exit code away from asyncio (it polls first).
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    async with asyncio.timeout(SECONDS):
        await process.wait()
