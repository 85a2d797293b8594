"""One change: the time from a commit to the call of a projection.

The reader, ours and the floor's, is a process of its own, as consumers are. Both processes use the
machine's monotonic clock (`time.perf_counter`), which is the same for all processes (Linux).

    .venv/bin/python -m bench.change --changes 1000 --runs 3
"""

import argparse
import asyncio
import itertools
import logging
import statistics
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from bench.bare_consumers import CATALOG
from bench.benchmarks import LATENCY_P50, LATENCY_P99
from bench.consuming import Shop, Tree, client_of, generate_tree, open_shop
from bench.measure import Samples
from bench.report import Result, table_lines
from consumers.contract.model import Checkpoint, Event, Snapshot
from consumers.following.catalog_client import connect
from consumers.following.projection import Projection
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from plumbing.redis.server import Server

CATEGORIES: Final = 2700
"""About as many as TikTok Shop has in a market."""
BARE_STREAM: Final = f"catalog:{{{CATALOG}}}:bare"
ROOT: Final = Path(__file__).parents[1]


def main() -> None:
    """Measure, and print a table; or run as one of the readers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--read", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if options.read:
        asyncio.run(READERS[options.read](Server(options.url)))
        return
    p50, p99 = asyncio.run(latency(options.changes, options.runs))
    results = [Result(LATENCY_P50, options.changes, p50), Result(LATENCY_P99, options.changes, p99)]
    print("\n".join(table_lines(results)))


async def latency(changes: int, runs: int) -> tuple[Samples, Samples]:
    """Return p50 and p99 of the seconds from a commit until a projection is called.

    Each run has `changes` changes, one at a time, alternately with the floor: an event of the same
    kind from a bare XADD to a blocking XREAD. Each starts when both readers are waiting.
    """
    p50, p99 = Samples([], []), Samples([], [])
    async with open_shop() as shop:
        await shop.publish(generate_tree(CATEGORIES))
        await shop.publish(_renamed(shop, "the floor's event"))
        async with (
            _run_reader(shop, "ours") as our_reader,
            _run_reader(shop, "bare") as bare_reader,
        ):
            newest: Any = await shop.client.xrevrange(f"catalog:{{{CATALOG}}}:events", count=1)
            ours = partial(_commit_change, shop, our_reader, itertools.count())
            bare = partial(_add_event, shop, bare_reader, newest[0][1])
            await _measure_changes(shop, changes // 10, ours, bare)  # to warm up
            for _ in range(runs):
                values = await _measure_changes(shop, changes, ours, bare)
                for samples, percent in ((p50, 50), (p99, 99)):
                    our_value, floor_value = (
                        statistics.quantiles(each, n=100)[percent - 1] for each in values
                    )
                    samples.ours.append(our_value)
                    samples.floor.append(floor_value)
    return p50, p99


async def _measure_changes(
    shop: Shop,
    changes: int,
    ours: Callable[[], Awaitable[float]],
    bare: Callable[[], Awaitable[float]],
) -> tuple[list[float], list[float]]:
    our_values: list[float] = []
    floor_values: list[float] = []
    for number in range(changes):
        order = [(ours, our_values), (bare, floor_values)]
        for run, values in order if number % 2 else reversed(order):
            await shop.wait_for_readers(2)
            values.append(await run())
    return our_values, floor_values


async def _commit_change(shop: Shop, reader: Process, numbers: "itertools.count[int]") -> float:
    """Commit a change of one category; return the seconds until the projection ran.

    As in a daemon, a poll without a change comes first.
    """
    await shop.publish(shop.tree)
    await shop.publish(_renamed(shop, f"Renamed {next(numbers)}"))
    return await _read_time(reader) - shop.store.commit_started


def _renamed(shop: Shop, name: str) -> Tree:
    """Return the tree with one category renamed to `name`."""
    one = shop.tree[str(CATEGORIES)] | {"local_name": name}
    return {**shop.tree, one["id"]: one}


async def _add_event(shop: Shop, reader: Process, event: dict[bytes, bytes]) -> float:
    """Add an event to a stream; return the seconds until it was read."""
    start = time.perf_counter()
    await shop.client.xadd(BARE_STREAM, event)  # type: ignore[arg-type]  # their dict is invariant
    return await _read_time(reader) - start


async def _read_time(reader: Process) -> float:
    output: Any = reader.stdout
    return float(await output.readline())


@asynccontextmanager
async def _run_reader(shop: Shop, which: str) -> AsyncIterator[Process]:
    """Run one of READERS; ours has been called once, for its first snapshot."""
    arguments = ("-m", "bench.change", "--read", which, "--url", shop.url)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdout=PIPE
    )
    try:
        if which == "ours":
            await _read_time(process)
        yield process
    finally:
        process.kill()
        await process.wait()


def _print_time() -> None:
    sys.stdout.write(f"{time.perf_counter()}\n")
    sys.stdout.flush()


class TimePrinter(Projection):
    """Prints the time of each call."""

    async def reset(self, snapshot: Snapshot, checkpoint: Checkpoint) -> None:  # noqa: ARG002
        """Print the time."""
        _print_time()

    async def apply(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:  # noqa: ARG002
        """Print the time."""
        _print_time()


async def _run_our_reader(server: Server) -> None:
    async with connect(server, CATALOG, once=False) as events:
        await run_projection(TimePrinter(), Reader(events, "handler"))


async def _run_bare_reader(server: Server) -> None:
    """Read without any check, with a client of the same kind as ours."""
    async with client_of(server) as client:
        offset = b"0-0"
        while True:
            reply: Any = await client.xread({BARE_STREAM: offset}, count=1000, block=2000)
            if reply:
                _print_time()
                offset = reply[0][1][-1][0]


READERS: Final = {"ours": _run_our_reader, "bare": _run_bare_reader}


if __name__ == "__main__":
    main()
