"""`make bench`: everything beside its floor and beside the peers, into docs/benchmarks.md.

.venv/bin/python -m bench                # 35 minutes on 2 cores
.venv/bin/python -m bench --smoke        # a minute: that it runs, no figures to keep
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

from bench import change, consuming, document, publishing, starting
from bench.peers.run import measured as peers_measured
from bench.report import Result, lines
from bench.works import CATCH_UP, LATENCY_P50, LATENCY_P99, RESET, SYNC

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"


class Size(NamedTuple):
    """How much is measured, and how often."""

    categories: int
    others: tuple[int, ...]
    """Other sizes at which the publisher is measured, for the plot."""
    scaled: int
    """A tree of ten times as many is measured beside one of so many."""
    changes: int
    runs: int


WHOLE: Final = Size(100_000, (1_000, 10_000, 200_000), 20_000, 2_000, 7)
SMOKE: Final = Size(1_000, (), 200, 50, 1)


async def measured(size: Size) -> AsyncIterator[Result]:
    """Measure all works, and yield each result as it is there."""
    for result in await publishing.measured(size.categories, size.runs):
        yield result
    for result in await publishing.scaled(size.scaled, max(1, size.runs // 2)):
        yield result
    count = size.categories
    yield Result(CATCH_UP, count, await consuming.catch_up(count, count, size.runs))
    yield Result(RESET, count, await consuming.reset(count, size.runs))
    p50, p99 = await change.latency(size.changes, size.runs)
    yield Result(LATENCY_P50, size.changes, p50)
    yield Result(LATENCY_P99, size.changes, p99)
    yield Result(SYNC, starting.CATEGORIES, await starting.sync_unchanged(3 * size.runs))
    for other in size.others:
        for result in await publishing.measured(other, max(1, size.runs // 2)):
            yield result._replace(is_judged=False)


async def told(size: Size, *, is_judged: bool) -> list[Result]:
    """Measure all works, and print each row of the table as it is there."""
    found = []
    async for each in measured(size):
        result = each._replace(is_judged=each.is_judged and is_judged)
        found.append(result)
        print("\n".join(list(lines([result]))[2:]), flush=True)
    return found


def main() -> None:
    """Measure, print, and unless it is for smoke write the document and its plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small, and nothing is written")
    parser.add_argument("--without-peers", action="store_true")
    options = parser.parse_args()
    size = SMOKE if options.smoke else WHOLE
    results = asyncio.run(told(size, is_judged=not options.smoke))
    if options.smoke:
        return
    peers = [] if options.without_peers else peers_measured(size.categories)
    document.write(DOCUMENT, results, peers)
    over = [f"{each.bar.work} ({each.categories:,})" for each in results if not each.keeps_the_bar]
    if over:
        sys.exit(f"over the bar: {'; '.join(over)}")


if __name__ == "__main__":
    main()
