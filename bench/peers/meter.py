"""Measures a peer inside its process: seconds and peak memory of each work."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import psutil

from bench.measure import peak_bytes
from bench.peers.figure import PeerFigure, line

LIMIT_SECONDS = 600
"""The limit of a peer's whole process: far above what it takes even on a busy machine."""


class Meter:
    """Measures the works of one peer one after another, and prints each."""

    def __init__(self, peer: str, packages: tuple[str, ...], *others: str) -> None:
        """`others` are names and versions of software that is no Python package."""
        signal.alarm(LIMIT_SECONDS)  # not handled, so it ends the process
        self._peer = peer
        self._version = ", ".join([*(f"{each} {version(each)}" for each in packages), *others])
        self._seconds = self._peak_mb = 0.0

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Measure what runs in the context."""
        reset_peak()
        start = time.perf_counter()
        yield
        self._seconds = time.perf_counter() - start
        self._peak_mb = peak_mb()

    def print_figure(self, work: str, count: int) -> None:
        """Print the last measurement; call it after the result was checked."""
        figure = PeerFigure(self._peer, work, count, self._seconds, self._peak_mb, self._version)
        print(line(figure), flush=True)


def peak_mb() -> float:
    """Return the sum of the peaks of this process and its children."""
    return sum(map(_peak_bytes, _processes())) / 1e6


def reset_peak() -> None:
    """Set the peaks to the memory that is resident now (proc(5), clear_refs)."""
    for process in _processes():
        with suppress(OSError):  # forbidden in some containers; the peak is then the highest so far
            Path(f"/proc/{process}/clear_refs").write_text("5", "ascii")


def _processes() -> list[int]:
    own = psutil.Process()
    return [each.pid for each in (own, *own.children(recursive=True))]


def _peak_bytes(process: int) -> float:
    with suppress(OSError):  # the process has just ended
        return peak_bytes(process)
    return 0
