"""Who owns a lease: one run of one publisher, and whether it still lives.

`host:pid:space:run`, where `space` stands for the machine's boot and its space of process ids. Only
who shares that space can look whether the process is still there; for all others an owner lives
until its lease ends. So a publisher that was killed and started again on the same machine goes on
at once.
"""

import os
import secrets
import socket
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
SPACE: Final = Path("/proc/self/ns/pid")


@cache
def _here() -> str:
    """Return this space of process ids; a random one where the system does not name it."""
    try:
        named = f"{BOOT.read_text('ascii')}{SPACE.readlink()}"
    except OSError:
        return secrets.token_hex(4)
    return sha256(named.encode()).hexdigest()[:8]


@cache
def _runs_here() -> set[str]:
    """Return the runs that began in this process, which may well be several."""
    return set()


def new_owner() -> str:
    """Return a name for this run of a publisher."""
    run = secrets.token_hex(4)
    _runs_here().add(run)
    return f"{socket.gethostname()}:{os.getpid()}:{_here()}:{run}"


def is_alive(owner: str) -> bool:
    """Tell whether `owner` may still live; nobody does not."""
    *_, pid, space, run = ("", "", "", *owner.rsplit(":", 3))
    if space != _here() or not pid.isdecimal():
        return bool(owner)
    if int(pid) == os.getpid():
        return run in _runs_here()
    return _is_a_process(int(pid))


def _is_a_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
