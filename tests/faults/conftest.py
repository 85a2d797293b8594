"""Fixtures of the fault suite: servers, seeds, and the recorder of results."""

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
"""Names the document for the table; only `make faults` sets it, for complete runs."""
SEED: Final = "FAULTS_SEED"
SEED_FIXTURE: Final = "seed"

StartServer = Callable[..., Valkey]


@pytest.fixture(params=servers.KINDS)
def binary(request: pytest.FixtureRequest) -> str:
    """Return the path of the server's program."""
    found = servers.program(request.param)
    if found is None:
        pytest.skip("Redis is not installed: install the system package redis-server")
    return found


@pytest.fixture
def start_server(binary: str, folder: Path) -> Iterator[StartServer]:
    """Return a function that starts a server of the test's own, with options."""
    servers_started: list[Valkey] = []

    def make(*options: str, name: str = "redis") -> Valkey:
        path = folder / name
        path.mkdir()
        servers_started.append(Valkey(path, *options, binary=binary))
        servers_started[-1].start()
        return servers_started[-1]

    yield make
    for server in servers_started:
        server.kill()


@pytest.fixture
def server(start_server: StartServer) -> Valkey:
    """Return a running server of the test's own."""
    return start_server()


@pytest.fixture
def seed() -> int:
    """Return the test's seed: a new one each time, or FAULTS_SEED to repeat a failure."""
    return int(os.environ.get(SEED) or random.randrange(10**6))


@pytest.fixture
def results(binary: str, request: pytest.FixtureRequest) -> ResultsRecorder:
    """Return the recorder for runs on this server."""
    return _recorder(request, servers.version_of(binary))


@pytest.fixture
def results_without_server(request: pytest.FixtureRequest) -> ResultsRecorder:
    """Return the recorder for runs without a server."""
    return _recorder(request, "-")


def _recorder(request: pytest.FixtureRequest, server: str) -> ResultsRecorder:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    group = request.node.path.stem.removeprefix("test_")
    file = RUNS / f"{worker}.jsonl" if TABLE in os.environ else None
    return ResultsRecorder(file, group, server)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder as `faults`: only `make faults` runs them."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("faults")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the command that repeats the test to each failure."""
    report = yield
    if report.failed and SEED_FIXTURE in item.funcargs:
        command = f".venv/bin/pytest -m faults '{item.nodeid}'"
        report.sections.append(("To repeat", f"{SEED}={item.funcargs[SEED_FIXTURE]} {command}"))
    return report


def pytest_sessionstart(session: pytest.Session) -> None:
    """Delete the results of earlier runs."""
    if TABLE in os.environ and not hasattr(session.config, "workerinput"):
        shutil.rmtree(RUNS, ignore_errors=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table, if it is wanted."""
    if TABLE in os.environ and not hasattr(session.config, "workerinput"):
        results_table.write(ROOT / os.environ[TABLE], results_table.read(RUNS))
