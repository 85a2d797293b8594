"""What a benchmark is: a work of ours and its floor, run in turn, and the ratios of the pairs."""

import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple


class Bar(NamedTuple):
    """What is demanded: ours over the floor at most `bar`, better `aim`; `unit` is s or bytes."""

    work: str
    floor: str
    bar: float
    aim: float
    unit: str = "s"


@dataclass(frozen=True)
class Samples:
    """Measured in turn, ours and the floor's, all in the unit of the work's Bar."""

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


class Result(NamedTuple):
    """One row of the table; measured with so many categories (or events)."""

    bar: Bar
    categories: int
    samples: Samples


async def in_turn(
    runs: int, ours: Callable[[], Awaitable[float]], floor: Callable[[], Awaitable[float]]
) -> Samples:
    """Measure both `runs` times, now the one first and now the other, after a run that warms up."""
    await ours()
    await floor()
    mine: list[float] = []
    its: list[float] = []
    for number in range(runs):
        order = [(ours, mine), (floor, its)]
        for work, found in order if number % 2 else reversed(order):
            found.append(await work())
    return Samples(mine, its)
