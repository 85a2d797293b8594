"""Fixtures of all tests: real servers, fakeredis, and the real trees.

The servers listen on loopback.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import redis.asyncio
import stamina
import structlog
from hypothesis import HealthCheck, settings

from tests.session import longest_first, report
from tests.support.databases import MariaDb, Postgres, empty_database, served
from tests.support.paths import SHARED_DATA
from tests.support.valkey import Valkey, fake_client
from tests.support.waiting import LOAD, PATIENCE

# Hypothesis's profiles: `quick` in `make test`, `full` in CI and in `make test-slow` and `make faults`.
# `make mutants` uses Hypothesis's own profile `ci`, with the same examples each time.
settings.register_profile(
    "full", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("quick", settings.get_profile("full"), max_examples=20)
settings.load_profile("full" if os.environ.get("CI") else "quick")


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide from each test the environment of the person who runs it."""
    for name in [name for name in os.environ if name.startswith("CATEGORY_PUBLISHER_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def _retries_do_not_wait() -> Iterator[None]:
    """Retries happen, at once."""
    with stamina.set_testing(True, attempts=5, cap=True):
        yield


@pytest.fixture(autouse=True, scope="session")
def _only_warnings_are_logged() -> None:
    """Let a failing test show what was odd, not all that went well."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a new folder with a path short enough for a Unix socket."""
    path = Path(tempfile.mkdtemp(prefix="cp-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def real_trees() -> Path:
    """Give the folder of real trees; CI has it, elsewhere its tests skip."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder ../shared/data with the real trees is not here")
    return SHARED_DATA


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """Give a running Valkey that all tests of this process share."""
    path = Path(tempfile.mkdtemp(prefix="cp-"))
    with Valkey(path) as server:
        yield server
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def oldest_redis() -> Iterator[Valkey]:
    """Give a running Redis 7.0, the oldest that is supported, from Debian's package."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("Redis is not here: install the system package redis-server")
    path = Path(tempfile.mkdtemp(prefix="cp-"))
    with Valkey(path, binary=binary) as server:
        yield server
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Give a running PostgreSQL that all tests of this process share."""
    with served(Postgres) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """Give a running MariaDB that all tests of this process share.

    It is Debian's package.
    """
    with served(MariaDb) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
async def database_url(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[str]:
    """Give the URL of an empty database: SQLite, then PostgreSQL, then MariaDB."""
    async with empty_database(request, folder) as url:
        yield url


@pytest.fixture(params=["fakeredis", "valkey", "oldest_redis"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[redis.asyncio.Redis]:
    """Give a client of an empty store.

    The store is fakeredis, then a real Valkey, then a real Redis.
    """
    if request.param == "fakeredis":
        made = fake_client()
    else:
        made = request.getfixturevalue(request.param).client()
    await made.flushall()
    yield made
    await made.aclose()


@pytest.fixture
async def real_client(valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    """Give a client of an empty real Valkey."""
    made = valkey.client()
    await made.flushall()
    yield made
    await made.aclose()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--rule 5.6`: run the tests that show this rule of docs/contract.md."""
    parser.addoption("--rule", help="run only the tests of this rule of docs/contract.md")


def pytest_report_header() -> str:
    """Say how long a test waits, because that depends on the load of the machine."""
    return f"patience: {PATIENCE:.0f} s, for a load of {LOAD:g}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select the tests of `--rule`, and order them for the workers."""
    rule = config.getoption("--rule")
    if rule is not None:
        items[:] = [
            item
            for item in items
            if any(rule in mark.args for mark in item.iter_markers("contract"))
        ]
    report.record_ids(items)
    workers = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if workers is not None:
        items[:] = longest_first.ordered(items, longest_first.read_seconds(), int(workers))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a skip be a failure in CI, which has everything that any test needs."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"in CI a skip is a failure: {report.longrepr}"
    return report
