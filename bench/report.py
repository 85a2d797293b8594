"""What was measured, as a table: ratios first."""

import statistics
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bench.measure import Samples
from bench.works import Bar

HEAD = (
    "| work | of | ratio | least - most | bar | aim | ours | floor | beside |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
)


class Result(NamedTuple):
    """One row, measured with so many categories (or events, or changes)."""

    bar: Bar
    categories: int
    samples: Samples
    is_judged: bool = True
    """Bars are for 100,000 categories."""

    @property
    def keeps_the_bar(self) -> bool:
        """Whether the ratio is what it has to be."""
        if self.bar.bar is None or not self.is_judged:
            return True
        return self.samples.ratio <= self.bar.bar


def lines(results: Iterable[Result]) -> Iterator[str]:
    """Yield the table in Markdown."""
    yield from HEAD
    for each in results:
        bar, samples = each.bar, each.samples
        ours, floor = statistics.median(samples.ours), statistics.median(samples.floor)
        yield (
            f"| {bar.work} | {each.categories:,} | **{samples.ratio:.2f}**{_verdict(each)} "
            f"| {min(samples.ratios):.2f} - {max(samples.ratios):.2f} "
            f"| {_limit(bar.bar)} | {_limit(bar.aim)} "
            f"| {told(ours, bar.unit)} | {told(floor, bar.unit)} | {bar.floor} |"
        )


def _verdict(result: Result) -> str:
    return "" if result.keeps_the_bar else " (over the bar)"


def _limit(limit: float | None) -> str:
    return "-" if limit is None else f"{limit:g}"


def told(value: float, unit: str) -> str:
    """Return seconds or bytes with their unit, in three digits."""
    if unit == "bytes":
        return f"{value / 1e6:,.1f} MB"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"
