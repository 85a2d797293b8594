"""One change: how soon after a commit a projection is called, beside a bare XADD and XREAD.

Who reads is a process of its own, ours and the floor's, as consumers are. Both tell the time of the
machine's monotonic clock (`time.perf_counter`), which is one for all processes (Linux).

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

from bench.consuming import Shop, Tree, client_of, grown, published
from bench.floor import CATALOG
from bench.measure import Samples
from bench.report import Result, lines
from bench.works import LATENCY_P50, LATENCY_P99
from consumers.contract.model import Checkpoint, Event, Snapshot
from consumers.following.catalog_client import connect
from consumers.following.projection import Projection
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from plumbing.redis.server import Server

CATEGORIES: Final = 2700
"""As many as TikTok Shop has in a market."""
BARE_STREAM: Final = f"catalog:{{{CATALOG}}}:bare"
ROOT: Final = Path(__file__).parents[1]


def main() -> None:
    """Measure, and print a table; or be one of the readers."""
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
    print("\n".join(lines(results)))


async def latency(changes: int, runs: int) -> tuple[Samples, Samples]:
    """Return p50 and p99 of the seconds from before a commit until a projection is called.

    `changes` a run, one at a time, in turn with the floor: such an event by a bare XADD to a
    blocking XREAD. Both begin when both readers are waiting.
    """
    p50, p99 = Samples([], []), Samples([], [])
    async with published() as shop:
        await shop.publish(grown(CATEGORIES))
        await shop.publish(_renamed(shop, "the floor's event"))
        async with _reading(shop, "ours") as handled, _reading(shop, "bare") as read:
            newest: Any = await shop.client.xrevrange(f"catalog:{{{CATALOG}}}:events", count=1)
            ours = partial(_changed, shop, handled, itertools.count())
            bare = partial(_added, shop, read, newest[0][1])
            await _one_by_one(shop, changes // 10, ours, bare)  # warms up
            for _ in range(runs):
                found = await _one_by_one(shop, changes, ours, bare)
                for samples, percent in ((p50, 50), (p99, 99)):
                    mine, its = (statistics.quantiles(each, n=100)[percent - 1] for each in found)
                    samples.ours.append(mine)
                    samples.floor.append(its)
    return p50, p99


async def _one_by_one(
    shop: Shop,
    changes: int,
    ours: Callable[[], Awaitable[float]],
    bare: Callable[[], Awaitable[float]],
) -> tuple[list[float], list[float]]:
    mine: list[float] = []
    its: list[float] = []
    for number in range(changes):
        order = [(ours, mine), (bare, its)]
        for work, found in order if number % 2 else reversed(order):
            await shop.waited_for(readers=2)
            found.append(await work())
    return mine, its


async def _changed(shop: Shop, reader: Process, numbers: "itertools.count[int]") -> float:
    """Commit a change of one category; return how long until the projection was called.

    As a daemon does that has polled since the last change, and found none.
    """
    await shop.publish(shop.tree)
    await shop.publish(_renamed(shop, f"Renamed {next(numbers)}"))
    return await _told(reader) - shop.store.began


def _renamed(shop: Shop, name: str) -> Tree:
    """Return the tree in which one category is called `name`."""
    one = shop.tree[str(CATEGORIES)] | {"local_name": name}
    return {**shop.tree, one["id"]: one}


async def _added(shop: Shop, reader: Process, event: dict[bytes, bytes]) -> float:
    """Add an event to a stream; return how long until it was read."""
    began = time.perf_counter()
    await shop.client.xadd(BARE_STREAM, event)  # type: ignore[arg-type]  # their dict is invariant
    return await _told(reader) - began


async def _told(reader: Process) -> float:
    output: Any = reader.stdout
    return float(await output.readline())


@asynccontextmanager
async def _reading(shop: Shop, which: str) -> AsyncIterator[Process]:
    """Have one of READERS running, which has called for the first time if it does that at once."""
    words = ("-m", "bench.change", "--read", which, "--url", shop.url)
    process = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=ROOT, stdout=PIPE)
    try:
        if which == "ours":
            await _told(process)
        yield process
    finally:
        process.kill()
        await process.wait()


def _tell() -> None:
    """Tell the time on standard output."""
    sys.stdout.write(f"{time.perf_counter()}\n")
    sys.stdout.flush()


class Handler(Projection):
    """Tells when it is called."""

    async def reset(self, snapshot: Snapshot, checkpoint: Checkpoint) -> None:  # noqa: ARG002
        """Tell so."""
        _tell()

    async def apply(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:  # noqa: ARG002
        """Tell so."""
        _tell()


async def _keep(server: Server) -> None:
    async with connect(server, CATALOG, once=False) as events:
        await run_projection(Handler(), Reader(events, "handler"))


async def _loop(server: Server) -> None:
    """Read without any check; the client is of the same kind as ours."""
    async with client_of(server) as client:
        offset = b"0-0"
        while True:
            reply: Any = await client.xread({BARE_STREAM: offset}, count=1000, block=2000)
            if reply:
                _tell()
                offset = reply[0][1][-1][0]


READERS: Final = {"ours": _keep, "bare": _loop}


if __name__ == "__main__":
    main()
