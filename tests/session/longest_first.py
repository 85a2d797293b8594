"""Order tests so that the workers of pytest-xdist end at about the same time.

`longest_tests.txt` lists the tests that take long, with their seconds. They come first, dealt out to
all workers like cards; the other tests follow in the order of their files, so that a worker uses
its servers for whole files. A worker without tests steals from the end of the longest queue.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final, Protocol, TypeVar

LIST: Final = Path(__file__).parent / "longest_tests.txt"


class Test(Protocol):
    """What pytest knows of a test."""

    @property
    def nodeid(self) -> str:
        """The id, such as `tests/test_x.py::test_y[1]`."""
        ...


T = TypeVar("T", bound=Test)


def read_seconds(file: Path = LIST) -> dict[str, float]:
    """Return the seconds of each test that `file` lists, one `seconds id` a line."""
    lines = (line.split(maxsplit=1) for line in file.read_text("utf-8").splitlines())
    return {test: float(seconds) for seconds, test in lines}


def ordered(tests: Sequence[T], seconds: dict[str, float], workers: int) -> list[T]:
    """Return `tests` in the order for this number of `workers`.

    pytest-xdist gives each worker one block of the order, the first blocks the smaller ones.
    """
    long = sorted(
        (test for test in tests if test.nodeid in seconds),
        key=lambda test: (-seconds[test.nodeid], test.nodeid),
    )
    others = iter([test for test in tests if test.nodeid not in seconds])
    order: list[T] = []
    for worker in range(workers):
        left = workers - worker
        size = (len(tests) - len(order)) // left
        block = long[left - 1 :: workers]
        order += block
        order += islice(others, max(size - len(block), 0))
    return order
