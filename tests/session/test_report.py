import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.session.report import LONG_SECONDS, SLOWEST, Result, longest, print_report, read

pytest_plugins = ["pytester"]

TESTS = """
import time, pytest

def test_fast(): pass

class TestGroup:
    @pytest.mark.parametrize("name", ["a[b]", "<c>"])
    def test_slow(self, name): time.sleep(0.01)

def test_skipped(): pytest.skip("no such server")
"""

CONFTEST = """
from tests.session.report import record_ids

def pytest_collection_modifyitems(items):
    record_ids(items)
"""


@pytest.fixture
def reports(pytester: pytest.Pytester) -> list[Path]:
    """Return the JUnit files of two sessions of pytest."""
    pytester.makepyfile(**{"tests/test_some": TESTS, "conftest": CONFTEST})
    for name, *options in (("all",), ("fast", "-k", "fast")):
        file = f"--junitxml={name}.xml"
        pytester.runpytest_inprocess("-p", "no:asyncio", file, *options)
    return [pytester.path / "all.xml", pytester.path / "fast.xml"]


def test_reads_the_ids_of_all_sessions(reports: list[Path]) -> None:
    file = "tests/test_some.py"
    assert [(result.file, result.test, result.skip_reason) for result in read(reports)] == [
        (file, f"{file}::test_fast", None),
        (file, f"{file}::TestGroup::test_slow[a[b]]", None),
        (file, f"{file}::TestGroup::test_slow[<c>]", None),
        (file, f"{file}::test_skipped", "no such server"),
        (file, f"{file}::test_fast", None),
    ]
    assert all(result.seconds >= 0.01 for result in read(reports)[1:3])


def test_reports_files_slowest_tests_and_skips() -> None:
    results = [
        Result("tests/test_a.py", "tests/test_a.py::test_x", 1.0, None),
        Result("tests/test_b.py", "tests/test_b.py::test_y", 2.5, None),
        Result("tests/test_a.py", "tests/test_a.py::test_z", 3.0, "no [red]server[/red]"),
        *(Result("tests/test_c.py", f"tests/test_c.py::test_{i}", 0.5, None) for i in range(9)),
    ]
    printed = StringIO()
    print_report(results, Console(file=printed, width=100))
    by_file, slowest, skipped = _tables(printed)
    assert by_file == [
        ["file", "tests", "seconds"],
        ["tests/test_c.py", "9", "4.5"],
        ["tests/test_a.py", "2", "4.0"],
        ["tests/test_b.py", "1", "2.5"],
    ]
    assert slowest[:4] == [
        ["test", "seconds"],
        ["tests/test_a.py::test_z", "3.0"],
        ["tests/test_b.py::test_y", "2.5"],
        ["tests/test_a.py::test_x", "1.0"],
    ]
    assert len(slowest) == 1 + SLOWEST
    assert skipped == [["test", "reason"], ["tests/test_a.py::test_z", "no [red]server[/red]"]]


def test_reports_a_test_whose_worker_crashed(tmp_path: Path) -> None:
    """It has no id, but its names; without a skip there is no table of skips."""
    file = tmp_path / "crash.xml"
    case = '<testcase classname="tests.test_a" name="test_x"><error message="crashed"/></testcase>'
    file.write_text(f"<testsuites><testsuite>{case}</testsuite></testsuites>")
    assert read([file]) == [Result("tests.test_a", "tests.test_a::test_x", 0.0, None)]
    printed = StringIO()
    print_report(read([file]), Console(file=printed, width=100))
    assert printed.getvalue().endswith("\nNo test was skipped.\n")


def test_lists_the_longest_first() -> None:
    results = [
        Result("f.py", "f.py::test_short", LONG_SECONDS - 0.1, None),
        Result("f.py", "f.py::test_long", LONG_SECONDS, None),
        Result("f.py", "f.py::test_longest", 61.4, None),
        Result("f.py", "f.py::test_longest", 50.0, None),
    ]
    assert longest(results) == f"61 f.py::test_longest\n{LONG_SECONDS:.0f} f.py::test_long\n"


def _tables(printed: StringIO) -> list[list[list[str]]]:
    """Return the cells of each row of each table."""
    tables: list[list[list[str]]] = []
    for line in printed.getvalue().splitlines():
        cells = [cell.strip() for cell in re.split("[│┃]", line)][1:-1]
        if line.startswith("┏"):
            tables.append([])
        elif cells:
            tables[-1].append(cells)
    return tables
