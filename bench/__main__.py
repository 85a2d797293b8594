"""`make bench`: compare with floors and peers, and write docs/benchmarks.md.

.venv/bin/python -m bench                # within 40 minutes on 2 cores
.venv/bin/python -m bench --smoke        # a minute: only checks that it runs
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

from bench import change, consuming, document, publishing, starting
from bench.benchmarks import CATCH_UP, LATENCY_P50, LATENCY_P99, RESET, SYNC
from bench.peers.run import PYTHON, measure_peers, require
from bench.report import Result, table_lines

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"


class Size(NamedTuple):
    """The size of the inputs, and the number of runs."""

    categories: int
    others: tuple[int, ...]
    """Further sizes, for the plot."""
    scaled: int
    """The small tree of the scaling rows; the large one has ten times as many."""
    changes: int
    runs: int


FULL: Final = Size(100_000, (1_000, 10_000, 200_000), 20_000, 500, 5)
SMOKE: Final = Size(1_000, (), 200, 50, 1)


async def measure(size: Size) -> AsyncIterator[Result]:
    """Run all benchmarks; yield each result as soon as it is known."""
    for result in await publishing.measure(size.categories, size.runs):
        yield result
    for result in await publishing.measure_scaling(size.scaled, max(1, size.runs // 2)):
        yield result
    for result in await measure_consumer(size.categories, size.runs):
        yield result
    p50, p99 = await change.latency(size.changes, size.runs)
    yield Result(LATENCY_P50, size.changes, p50)
    yield Result(LATENCY_P99, size.changes, p99)
    yield Result(SYNC, starting.CATEGORIES, await starting.sync_unchanged(3 * size.runs))
    for other in size.others:
        fewer = max(1, size.runs // 2)
        for result in (
            *await publishing.measure(other, fewer),
            *await measure_consumer(other, fewer),
        ):
            yield result._replace(is_judged=False)


async def measure_consumer(count: int, runs: int) -> list[Result]:
    """Measure a consumer with `count` events, and with `count` categories."""
    return [
        Result(CATCH_UP, count, await consuming.catch_up(count, count, runs)),
        Result(RESET, count, await consuming.reset(count, runs)),
    ]


async def measure_and_print(size: Size, *, is_judged: bool) -> list[Result]:
    """Run all benchmarks; print each row of the table as soon as it is known."""
    results = []
    async for each in measure(size):
        result = each._replace(is_judged=each.is_judged and is_judged)
        results.append(result)
        print("\n".join(list(table_lines([result]))[2:]), flush=True)
    return results


def main() -> None:
    """Measure, print, and write document and plots (--smoke: to a temporary folder)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small inputs, writes nothing")
    options = parser.parse_args()
    if options.smoke:
        with tempfile.TemporaryDirectory(prefix="cpb-") as folder:
            copy = Path(shutil.copy(DOCUMENT, folder))
            measure_and_write(SMOKE, copy, with_peers=PYTHON.exists())
        return
    require()
    results = measure_and_write(FULL, DOCUMENT, with_peers=True)
    over = [f"{each.benchmark.name} ({each.size:,})" for each in results if not each.is_within_bar]
    if over:
        sys.exit(f"over the bar: {'; '.join(over)}")


def measure_and_write(size: Size, path: Path, *, with_peers: bool) -> list[Result]:
    """Measure, and write the results into the document at `path`.

    The peers and the plots need an environment of their own (`make .venv/bench`).
    """
    results = asyncio.run(measure_and_print(size, is_judged=size is FULL))
    peers = measure_peers(size.categories) if with_peers else []
    document.write(path, results, peers)
    if with_peers:
        document.draw(path.parent, results, peers)
    return results


if __name__ == "__main__":
    main()
