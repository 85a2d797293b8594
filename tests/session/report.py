"""Report the test sessions of CI: time by file, the slowest tests, the skips.

    python -m tests.session.report .reports/*.xml
    python -m tests.session.report --longest .reports/*.xml > tests/session/longest_tests.txt

It reads the JUnit files that the targets of the Makefile let pytest write.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from junitparser import JUnitXml, Properties, Skipped, TestCase
from rich.console import Console
from rich.table import Table

SLOWEST: Final = 10
LONG_SECONDS: Final = 5.0
ID: Final = "test"
"""The property of a JUnit case with the test's id; its other names do not determine the id."""


@dataclass(frozen=True)
class Result:
    """One test; its seconds include set-up and tear-down."""

    file: str
    test: str
    seconds: float
    skip_reason: str | None


def record_ids(tests: Iterable[pytest.Item]) -> None:
    """Let pytest write the ids of `tests` into its JUnit file."""
    for test in tests:
        test.user_properties.append((ID, test.nodeid))


def read(files: Iterable[Path]) -> list[Result]:
    """Return the results in the JUnit `files`."""
    return [
        _result(case) for file in files for suite in JUnitXml.fromfile(str(file)) for case in suite
    ]


def longest(results: Iterable[Result]) -> str:
    """Return the lines of `longest_tests.txt`: the tests from LONG_SECONDS on."""
    seconds: dict[str, float] = {}
    for result in results:
        seconds[result.test] = max(result.seconds, seconds.get(result.test, 0))
    rows = sorted((-taken, test) for test, taken in seconds.items() if taken >= LONG_SECONDS)
    return "".join(f"{-taken:.0f} {test}\n" for taken, test in rows)


def print_report(results: Sequence[Result], console: Console) -> None:
    """Print the three tables of `results`."""
    seconds: Counter[str] = Counter()
    for result in results:
        seconds[result.file] += result.seconds  # type: ignore[assignment]  # a float
    tests = Counter(result.file for result in results)
    by_file = Table("file", "tests", "seconds", title=f"{len(results)} tests, time by file")
    for file, taken in seconds.most_common():
        by_file.add_row(file, str(tests[file]), f"{taken:.1f}")
    slowest = Table("test", "seconds", title=f"The {SLOWEST} slowest tests")
    for result in sorted(results, key=lambda result: -result.seconds)[:SLOWEST]:
        slowest.add_row(result.test, f"{result.seconds:.1f}")
    skipped = [result for result in results if result.skip_reason is not None]
    skips = Table("test", "reason", title=f"{len(skipped)} tests skipped")
    for result in skipped:
        skips.add_row(result.test, result.skip_reason)
    for table in (by_file, slowest, skips if skipped else "No test was skipped."):
        console.print(table, markup=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the report, or with `--longest` the list of long tests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, help="JUnit files of test sessions")
    parser.add_argument("--longest", action="store_true", help="print the list of long tests")
    options = parser.parse_args(arguments)
    results = read(options.files)
    if options.longest:
        sys.stdout.write(longest(results))
    else:
        print_report(results, Console(width=160, highlight=False))


def _result(case: TestCase) -> Result:
    """Return the result of a JUnit `case`; after a crash it has no property."""
    properties = case.child(Properties) or ()  # type: ignore[no-untyped-call]
    ids = [str(each.value) for each in properties if each.name == ID]
    test = ids[0] if ids else f"{case.classname}::{case.name}"
    reasons = [str(part.message) for part in case.result if isinstance(part, Skipped)]
    file = test.partition("::")[0]
    return Result(file, test, float(case.time or 0), reasons[0] if reasons else None)


if __name__ == "__main__":
    main()
