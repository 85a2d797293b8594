"""How we measure: ours and the floor alternate, and the ratio of each pair counts."""

import gc
import re
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Samples:
    """Values of ours and of the floor, measured alternately, in seconds or bytes."""

    ours: list[float]
    floor: list[float]

    @property
    def ratios(self) -> list[float]:
        """Ours divided by the floor, pair by pair: a slower machine does not count."""
        return [ours / floor for ours, floor in zip(self.ours, self.floor, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)


async def measure_alternately(
    runs: int, ours: Callable[[], Awaitable[float]], floor: Callable[[], Awaitable[float]]
) -> Samples:
    """Measure both `runs` times, in changing order, after a run that warms up.

    Objects that exist before a run are frozen: a garbage collection during the run then visits what
    the run has made, as in a process of its own, and not the benchmark's own trees.
    """
    await ours()
    await floor()
    our_values: list[float] = []
    floor_values: list[float] = []
    for number in range(runs):
        order = [(ours, our_values), (floor, floor_values)]
        for run, values in order if number % 2 else reversed(order):
            gc.collect()
            gc.freeze()
            values.append(await run())
    return Samples(our_values, floor_values)


def peak_bytes(process: int | None = None) -> float:
    """Return the peak resident memory of a process, by default this one.

    From proc(5), VmHWM (Linux). Not `getrusage`: its maximum is inherited from the parent.
    """
    status = Path(f"/proc/{process or 'self'}/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return float(found[1]) * 1024 if found else 0.0
