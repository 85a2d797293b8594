"""The owner of a lease: one run of one publisher, and whether it is still alive.

`host:pid:space:run`, where `space` identifies the machine's boot and its namespace of process ids.
A publisher of the same space can check whether the process is still there; to all others an owner
is alive until its lease expires. So a publisher that was killed and started again on the same
machine continues at once.
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
_own_runs: Final[set[str]] = set()
"""The runs that began in this process; there may be several."""


@cache
def _pid_space() -> str:
    """Return an id of this namespace of process ids; a random one if unknown."""
    try:
        name = f"{BOOT.read_text('ascii')}{SPACE.readlink()}"
    except OSError:
        return secrets.token_hex(4)
    return sha256(name.encode()).hexdigest()[:8]


def new_owner() -> str:
    """Return a name for this run of a publisher."""
    run = secrets.token_hex(4)
    _own_runs.add(run)
    return f"{socket.gethostname()}:{os.getpid()}:{_pid_space()}:{run}"


def is_alive(owner: str) -> bool:
    """Return whether `owner` may still be alive; an empty name is not."""
    *_, pid, space, run = ("", "", "", *owner.rsplit(":", 3))
    if space != _pid_space() or not pid.isdecimal():
        return bool(owner)
    if int(pid) == os.getpid():
        return run in _own_runs
    try:
        os.kill(int(pid), 0)  # signal 0 only checks that the process exists
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
