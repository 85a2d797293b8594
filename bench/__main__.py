"""`make bench`: everything beside its floor and beside the peers, into docs/benchmarks.md.

.venv/bin/python -m bench                # within 40 minutes on 2 cores
.venv/bin/python -m bench --smoke        # a minute: that it runs, no figures to keep
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
from bench.peers.run import PYTHON, require
from bench.peers.run import measured as peers_measured
from bench.report import Result, lines
from bench.works import CATCH_UP, LATENCY_P50, LATENCY_P99, RESET, SYNC

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "benchmarks.md"


class Size(NamedTuple):
    """How much is measured, and how often."""

    categories: int
    others: tuple[int, ...]
    """Other sizes, for the plot."""
    scaled: int
    """A tree of ten times as many is measured beside one of so many."""
    changes: int
    runs: int


WHOLE: Final = Size(100_000, (1_000, 10_000, 200_000), 20_000, 500, 5)
SMOKE: Final = Size(1_000, (), 200, 50, 1)


async def measured(size: Size) -> AsyncIterator[Result]:
    """Measure all works, and yield each result as it is there."""
    for result in await publishing.measured(size.categories, size.runs):
        yield result
    for result in await publishing.scaled(size.scaled, max(1, size.runs // 2)):
        yield result
    for result in await consumed(size.categories, size.runs):
        yield result
    p50, p99 = await change.latency(size.changes, size.runs)
    yield Result(LATENCY_P50, size.changes, p50)
    yield Result(LATENCY_P99, size.changes, p99)
    yield Result(SYNC, starting.CATEGORIES, await starting.sync_unchanged(3 * size.runs))
    for other in size.others:
        fewer = max(1, size.runs // 2)
        for result in await publishing.measured(other, fewer) + await consumed(other, fewer):
            yield result._replace(is_judged=False)


async def consumed(count: int, runs: int) -> list[Result]:
    """Measure a consumer of `count` events, and of as many categories."""
    return [
        Result(CATCH_UP, count, await consuming.catch_up(count, count, runs)),
        Result(RESET, count, await consuming.reset(count, runs)),
    ]


async def told(size: Size, *, is_judged: bool) -> list[Result]:
    """Measure all works, and print each row of the table as it is there."""
    found = []
    async for each in measured(size):
        result = each._replace(is_judged=each.is_judged and is_judged)
        found.append(result)
        print("\n".join(list(lines([result]))[2:]), flush=True)
    return found


def main() -> None:
    """Measure, print, and write the document and its plots; for smoke into a folder that goes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small, and nothing is kept")
    options = parser.parse_args()
    if options.smoke:
        with tempfile.TemporaryDirectory(prefix="cpb-") as folder:
            copy = Path(shutil.copy(DOCUMENT, folder))
            written(SMOKE, copy, with_peers=PYTHON.exists())
        return
    require()
    results = written(WHOLE, DOCUMENT, with_peers=True)
    over = [f"{each.bar.work} ({each.categories:,})" for each in results if not each.keeps_the_bar]
    if over:
        sys.exit(f"over the bar: {'; '.join(over)}")


def written(size: Size, path: Path, *, with_peers: bool) -> list[Result]:
    """Measure, and write what was found into the document at `path`.

    The peers, and what draws the plots, have an environment of their own (`make .venv/bench`).
    """
    results = asyncio.run(told(size, is_judged=size is WHOLE))
    peers = peers_measured(size.categories) if with_peers else []
    document.write(path, results, peers)
    if with_peers:
        document.draw(path.parent, results, peers)
    return results


if __name__ == "__main__":
    main()
