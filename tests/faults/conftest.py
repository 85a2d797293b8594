"""Fixtures of the fault suite: two servers to break, and the book in which every run stands."""

import os
import random
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.faults import results_table, servers
from tests.faults.results_table import ResultsRecorder
from tests.support.paths import ROOT
from tests.support.valkey import Valkey

RUNS: Final = ROOT / ".faults"
TABLE: Final = "FAULTS_TABLE"
"""Names the document that gets the table; `make faults` sets it, since only a whole run should."""
SEED: Final = "FAULTS_SEED"
SEED_FIXTURE: Final = "seed"

Made = Callable[..., Valkey]


@pytest.fixture(params=servers.KINDS)
def binary(request: pytest.FixtureRequest) -> str:
    """Give the server's program."""
    found = servers.program(request.param)
    if found is None:
        pytest.skip("Redis is not here: install the system package redis-server")
    return found


@pytest.fixture
def made(binary: str, folder: Path) -> Iterator[Made]:
    """Give a function that starts a server of a test's own, with options."""
    made_so_far: list[Valkey] = []

    def make(*options: str, name: str = "redis") -> Valkey:
        path = folder / name
        path.mkdir()
        made_so_far.append(Valkey(path, *options, binary=binary))
        made_so_far[-1].start()
        return made_so_far[-1]

    yield make
    for server in made_so_far:
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
def results(binary: str, request: pytest.FixtureRequest) -> ResultsRecorder:
    """Give the book for runs on this server."""
    return _recorder(request, servers.version_of(binary))


@pytest.fixture
def results_without_server(request: pytest.FixtureRequest) -> ResultsRecorder:
    """Give the book for runs in which no server takes part."""
    return _recorder(request, "-")


def _recorder(request: pytest.FixtureRequest, server: str) -> ResultsRecorder:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    group = request.node.path.stem.removeprefix("test_")
    file = RUNS / f"{worker}.jsonl" if TABLE in os.environ else None
    return ResultsRecorder(file, group, server)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder: `make faults` runs them, and nobody else does."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("faults")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let every failure say how to see it once more."""
    report = yield
    if report.failed and SEED_FIXTURE in item.funcargs:
        command = f".venv/bin/pytest -m faults '{item.nodeid}'"
        report.sections.append(("Once more", f"{SEED}={item.funcargs[SEED_FIXTURE]} {command}"))
    return report


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin with an empty book."""
    if TABLE in os.environ and not hasattr(session.config, "workerinput"):
        shutil.rmtree(RUNS, ignore_errors=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table, if one is wanted."""
    if TABLE in os.environ and not hasattr(session.config, "workerinput"):
        results_table.write(ROOT / os.environ[TABLE], results_table.read(RUNS))
