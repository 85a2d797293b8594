"""How things are measured: ours and the floor in turn, and the ratios of the pairs."""

import gc
import re
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Samples:
    """Measured in turn, ours and the floor's, both in seconds or both in bytes."""

    ours: list[float]
    floor: list[float]

    @property
    def ratios(self) -> list[float]:
        """Ours over the floor, pair by pair: so a machine that becomes slower does not count."""
        return [ours / floor for ours, floor in zip(self.ours, self.floor, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)


async def in_turn(
    runs: int, ours: Callable[[], Awaitable[float]], floor: Callable[[], Awaitable[float]]
) -> Samples:
    """Measure both `runs` times, now the one first and now the other, after a run that warms up.

    What is there before is set aside: a collection of garbage amid the work goes through what that
    made, as in a process of its own, and not through the benchmark's own trees.
    """
    await ours()
    await floor()
    mine: list[float] = []
    its: list[float] = []
    for number in range(runs):
        order = [(ours, mine), (floor, its)]
        for work, found in order if number % 2 else reversed(order):
            gc.collect()
            gc.freeze()
            found.append(await work())
    return Samples(mine, its)


def peak_bytes(process: int | None = None) -> float:
    """Return a process's (this one's) peak resident memory so far (Linux: proc(5), VmHWM).

    Not `getrusage`: its maximum is inherited from the parent.
    """
    status = Path(f"/proc/{process or 'self'}/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return float(found[1]) * 1024 if found else 0.0
