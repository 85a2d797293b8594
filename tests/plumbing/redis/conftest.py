"""Fixtures: Redis as people run it, and a catalog that is published to it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
import stamina

from tests.support import certificates
from tests.support.redis_servers import Cluster, Sentinels
from tests.support.valkey import Valkey

PROGRAMS: Final = [
    "valkey",
    pytest.param("redis-7.0", marks=pytest.mark.slow),
    pytest.param("redis-7.0-tls", marks=pytest.mark.slow),
]
"""The wheel's Valkey, and Debian's Redis without and with TLS and client certificates."""


@pytest.fixture(autouse=True)
def _an_outage_is_waited_for() -> Iterator[None]:
    """Let a consumer wait as long as it does for a user."""
    with stamina.set_testing(False):
        yield


@contextmanager
def short_folder() -> Iterator[Path]:
    """Give a new folder with a path short enough for a Unix socket."""
    path = Path(tempfile.mkdtemp(prefix="cp-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def program(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Give what a Cluster or Sentinels are made of, one of PROGRAMS."""
    if request.param == "valkey":
        yield {}
        return
    binary = debian_redis()
    with short_folder() as path:
        certificates.write(path)
        yield {"binary": binary, "tls": path if "tls" in request.param else None}


def debian_redis() -> str:
    """Return the path of Redis 7.0, or skip."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("Redis is not here: install the system package redis-server")
    return binary


@pytest.fixture(scope="session", params=PROGRAMS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Give a Cluster of three primaries that all tests of this process share."""
    with short_folder() as path, program(request) as made_of:
        made = Cluster(path, **made_of)
        try:
            made.start()
            yield made
        finally:
            made.kill()


@pytest.fixture(scope="session", params=PROGRAMS)
def sentinels(request: pytest.FixtureRequest) -> Iterator[Sentinels]:
    """Give a primary and its replica, watched by one Sentinel; one test kills the primary."""
    with watched(request, count=1) as made:
        yield made


@pytest.fixture(params=PROGRAMS[1:2])
def three_sentinels(request: pytest.FixtureRequest) -> Iterator[Sentinels]:
    """Give a primary and its replica, watched by three Sentinels, of whom two have to agree."""
    with watched(request, count=3) as made:
        yield made


@contextmanager
def watched(request: pytest.FixtureRequest, *, count: int) -> Iterator[Sentinels]:
    """Give a primary and its replica, watched by `count` Sentinels."""
    with short_folder() as path, program(request) as made_of:
        made = Sentinels(path, count=count, **made_of)
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
    binary = debian_redis()
    certificates.write(folder)
    user = ("--user", "publisher", "on", ">hunter2", "~catalog*", "+@all", "--databases", "4")
    with Valkey(folder, *user, binary=binary, tls=folder) as server:
        options = urlencode(certificates.of_client(folder))
        yield f"rediss://publisher:hunter2@127.0.0.1:{server.port}/3?{options}"
