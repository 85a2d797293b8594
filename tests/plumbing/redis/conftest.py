"""Redis servers as people run them: one, with TLS, with Sentinels, as a Cluster."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from tests.support import certificates
from tests.support.redis_servers import Cluster, Sentinels
from tests.support.valkey import Valkey

PROGRAMS: Final = [
    "valkey",
    pytest.param("redis-7.0", marks=pytest.mark.slow),
    pytest.param("redis-7.0-tls", marks=pytest.mark.slow),
]
"""The wheel's Valkey, and Debian's Redis without and with TLS and client certificates."""


@contextmanager
def short_folder() -> Iterator[Path]:
    """Create a folder with a path short enough for a Unix socket."""
    path = Path(tempfile.mkdtemp(prefix="cp-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def program(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Yield the options of a Cluster or Sentinels that run one of PROGRAMS."""
    if request.param == "valkey":
        yield {}
        return
    binary = debian_redis()
    with short_folder() as path:
        certificates.write(path)
        yield {"binary": binary, "tls": path if "tls" in request.param else None}


def debian_redis() -> str:
    """Return the path of Redis 7.0, or skip the test."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("Redis is not here: install the system package redis-server")
    return binary


@pytest.fixture(scope="session", params=PROGRAMS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Start a Cluster of three primaries that all tests of this process share."""
    with short_folder() as path, program(request) as options:
        made = Cluster(path, **options)
        try:
            made.start()
            yield made
        finally:
            made.kill()


@pytest.fixture(scope="session", params=PROGRAMS)
def sentinels(request: pytest.FixtureRequest) -> Iterator[Sentinels]:
    """Start a primary, its replica and one Sentinel; one test kills the primary."""
    with start_sentinels(request, count=1) as made:
        yield made


@pytest.fixture(params=PROGRAMS[1:2])
def three_sentinels(request: pytest.FixtureRequest) -> Iterator[Sentinels]:
    """Start a primary, its replica and three Sentinels, two of which have to agree."""
    with start_sentinels(request, count=3) as made:
        yield made


@contextmanager
def start_sentinels(request: pytest.FixtureRequest, *, count: int) -> Iterator[Sentinels]:
    """Start a primary, its replica and `count` Sentinels."""
    with short_folder() as path, program(request) as options:
        made = Sentinels(path, count=count, **options)
        try:
            made.start()
            yield made
        finally:
            made.kill()


@pytest.fixture
def own_valkey(folder: Path) -> Iterator[Valkey]:
    """Start a server for one test."""
    with Valkey(folder) as server:
        yield server


@pytest.fixture
def tls_url(folder: Path) -> Iterator[str]:
    """Start a Redis 7.0 with TLS, and give its URL.

    It has client certificates, a user and four databases.
    """
    binary = debian_redis()
    certificates.write(folder)
    user = ("--user", "publisher", "on", ">hunter2", "~catalog*", "+@all", "--databases", "4")
    with Valkey(folder, *user, binary=binary, tls=folder) as server:
        query = urlencode(certificates.of_client(folder))
        yield f"rediss://publisher:hunter2@127.0.0.1:{server.port}/3?{query}"
