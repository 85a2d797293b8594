"""The results as a table in Markdown."""

import statistics
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bench.benchmarks import Benchmark
from bench.measure import Samples

HEAD = (
    "| measured | size | ratio | least - most | bar | aim | ours | floor | the floor is |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
)


class Result(NamedTuple):
    """One row. `size` is the number of categories, events or changes."""

    benchmark: Benchmark
    size: int
    samples: Samples
    is_judged: bool = True
    """Whether the bar applies: bars are for 100,000 categories."""

    @property
    def is_within_bar(self) -> bool:
        """Whether the ratio is at most the bar."""
        if self.benchmark.bar is None or not self.is_judged:
            return True
        return self.samples.ratio <= self.benchmark.bar


def table_lines(results: Iterable[Result]) -> Iterator[str]:
    """Yield the table in Markdown."""
    yield from HEAD
    for each in results:
        benchmark, samples = each.benchmark, each.samples
        ours, floor = statistics.median(samples.ours), statistics.median(samples.floor)
        yield (
            f"| {benchmark.name} | {each.size:,} | **{samples.ratio:.2f}**{_verdict(each)} "
            f"| {min(samples.ratios):.2f} - {max(samples.ratios):.2f} "
            f"| {_limit(benchmark.bar)} | {_limit(benchmark.aim)} "
            f"| {format_value(ours, benchmark.unit)} | {format_value(floor, benchmark.unit)} "
            f"| {benchmark.floor} |"
        )


def _verdict(result: Result) -> str:
    return "" if result.is_within_bar else " (over the bar)"


def _limit(limit: float | None) -> str:
    return "-" if limit is None else f"{limit:g}"


def format_value(value: float, unit: str) -> str:
    """Return seconds or bytes with their unit, with three digits."""
    if unit == "bytes":
        return f"{value / 1e6:,.1f} MB"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"
