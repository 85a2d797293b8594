import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.session.longest_first import ordered, read_seconds
from tests.support.paths import ROOT


@dataclass(frozen=True)
class Named:
    nodeid: str


def blocks(order: list[Named], workers: int) -> list[list[str]]:
    """Return the equal blocks of pytest-xdist, the smaller ones first."""
    ids = [test.nodeid for test in order]
    given: list[list[str]] = []
    for left in range(workers, 0, -1):
        given.append(ids[: len(ids) // left])
        ids = ids[len(ids) // left :]
    return given


def test_long_tests_are_dealt_out_and_run_first() -> None:
    tests = [Named(name) for name in "abcdefghij"]
    order = ordered(tests, {"j": 90, "c": 60, "e": 30, "h": 5}, workers=2)
    assert blocks(order, 2) == [["c", "h", "a", "b", "d"], ["j", "e", "f", "g", "i"]]


@given(
    long=st.lists(st.integers(0, 60), unique=True),
    count=st.integers(0, 60),
    workers=st.integers(1, 8),
)
def test_every_test_runs_once(long: list[int], count: int, workers: int) -> None:
    tests = [Named(str(number)) for number in range(count)]
    order = ordered(tests, {str(number): number for number in long}, workers)
    assert sorted(order, key=lambda test: int(test.nodeid)) == tests


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
def test_no_worker_has_two_more_long_tests_than_another(workers: int) -> None:
    tests = [Named(str(number)) for number in range(100)]
    order = ordered(tests, {str(number): number for number in range(50, 73)}, workers)
    counts = [sum(50 <= int(test) < 73 for test in block) for block in blocks(order, workers)]
    assert max(counts) - min(counts) <= 1


def test_all_listed_tests_exist() -> None:
    """Their files and functions do; a function may be in a shared suite."""
    files = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "tests").rglob("*.py")}
    functions = {
        name for path in files.values() for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    listed = [re.fullmatch(r"([\w/.]+)::(?:\w+::)?(\w+)(\[.*\])?", test) for test in read_seconds()]
    assert listed
    assert {each and each[1] for each in listed} <= files.keys()
    assert {each and each[2] for each in listed} <= functions
