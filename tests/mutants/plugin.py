"""The pytest plugin in a copy of the code.

It records which test calls what, or judges a mutant. The file that MUTANTS_PLAN names says what to do.
"""

import json
import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.mutants.recording import RUNNING, SIZE

PLAN: Final = Path(os.environ["MUTANTS_PLAN"])
RESULT: Final = PLAN.with_name("result.json")


class Recording:
    """Tells the processes which test runs; keeps the time of each test that passes."""

    def __init__(self) -> None:
        self._tests: list[str] = []
        self._seconds: dict[str, float] = {}
        self._passes = True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Publish the number of the test that begins."""
        with RUNNING.open("r+b") as file:
            file.write(len(self._tests).to_bytes(SIZE, "big"))
        self._tests.append(item.nodeid)
        self._seconds[item.nodeid] = 0.0
        self._passes = True
        done = yield
        if not self._passes:
            del self._seconds[item.nodeid]
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the time of a phase."""
        self._seconds[report.nodeid] += report.duration
        self._passes &= report.passed

    def pytest_sessionfinish(self) -> None:
        """Write the tests in order, and the seconds of those that pass."""
        RESULT.write_text(json.dumps([self._tests, self._seconds]), encoding="utf-8")


class Judging:
    """Runs the tests of the plan in its order until one fails or hangs."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._order = {name: number for number, name in enumerate(plan["tests"])}
        self._others = set(plan["others"])
        self._limits: dict[str, float] = plan["limits"]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the tests of the plan, and those that only the mutant has."""
        kept = [item for item in items if item.nodeid not in self._others]
        items[:] = sorted(kept, key=lambda item: self._order.get(item.nodeid, len(self._order)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """End the run when the test hangs, as Ctrl-C does."""

        def end(*_: object) -> None:
            self._write("timed out", item.nodeid)
            raise KeyboardInterrupt

        signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, self._limits.get(item.nodeid, 60.0))
        done = yield
        signal.setitimer(signal.ITIMER_REAL, 0)
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the test that fails."""
        if report.failed:
            self._write("killed", report.nodeid)

    def _write(self, verdict: str, test: str) -> None:
        RESULT.write_text(json.dumps([verdict, test]), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Record if there is no plan yet."""
    plan = json.loads(PLAN.read_text("utf-8"))
    config.pluginmanager.register(Judging(plan) if plan else Recording())
