"""Many catalogs in one process: memory when idle, processor time of a poll.

A real `category-publisher run` with HTTP sources on loopback, and a real server. It is measured
twice for each number of catalogs: idle, when all catalogs were polled and the next poll is an hour
away (only the leases remain), and polling at a fixed rate, nothing changed.

    .venv/bin/python -m bench.many_catalogs --catalogs 100 1000 10000
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import orjson
import psutil

from bench.http_source import http_source
from bench.measure import peak_bytes
from plumbing.redis import embedded
from plumbing.redis.embedded_mode import EmbeddedMode

CATEGORIES = 200
POLLS_A_SECOND = 15.0
IDLE_SECONDS = 30.0
POLLING_SECONDS = 60.0
BODY = orjson.dumps(
    [
        {
            "id": str(600_000 + number),
            "parent_id": "0" if number < 10 else str(600_000 + number // 10),  # noqa: PLR2004  roots
            "local_name": f"Category number {number}",
            "is_leaf": number == 0 or number >= CATEGORIES // 10,
            "permission_statuses": ["AVAILABLE"],
        }
        for number in range(CATEGORIES)
    ]
)


class Figures(NamedTuple):
    """The cost of one run."""

    catalogs: int
    first_seconds: float
    """From the start until all catalogs were polled."""
    idle_mb: float
    idle_cpu: float
    """Share of a core when there is nothing to poll: the leases."""
    polls: int
    cpu_ms: float
    """Processor time of a poll, without the idle cost."""
    peak_mb: float


def main() -> None:
    """Measure, and print a line for each number of catalogs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--catalogs", type=int, nargs="+", default=[100, 1000, 10_000])
    options = parser.parse_args()
    print("catalogs  first polls  idle memory  idle cpu  polls  cpu per poll  peak memory")
    before = None
    for count in options.catalogs:
        found = asyncio.run(measure(count))
        print(
            f"{found.catalogs:8}  {found.first_seconds:9.1f} s  {found.idle_mb:8.1f} MB  "
            f"{found.idle_cpu:7.1%}  {found.polls:5}  {found.cpu_ms:9.1f} ms  "
            f"{found.peak_mb:8.1f} MB"
        )
        if before:
            more = (found.idle_mb - before.idle_mb) / (found.catalogs - before.catalogs)
            print(f"          {more * 1000:.1f} kB for each additional catalog")
        before = found


async def measure(count: int) -> Figures:
    """Measure with `count` catalogs."""
    with tempfile.TemporaryDirectory(prefix="cpb-") as name:
        folder = Path(name)
        async with (
            embedded.open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as redis_url,
            http_source(BODY) as source,
        ):
            address, calls = source
            configure(folder, redis_url, address, count, "1h")
            start = time.monotonic()
            with run_publisher(folder) as process:
                await until(lambda: len(calls) >= count)
                first = time.monotonic() - start
                await asyncio.sleep(5)
                idle = await cpu_of(process, IDLE_SECONDS)
                idle_mb = process.memory_info().rss / 1e6
            configure(folder, redis_url, address, count, f"{count / POLLS_A_SECOND:.3f}s")
            with run_publisher(folder) as process:
                await asyncio.sleep(20 + count / 500)
                calls.clear()
                polling = await cpu_of(process, POLLING_SECONDS)
                polls = len(calls)
                cpu_ms = (polling - idle / IDLE_SECONDS * POLLING_SECONDS) / polls * 1000
                peak_mb = peak_bytes(process.pid) / 1e6
    return Figures(count, first, idle_mb, idle / IDLE_SECONDS, polls, cpu_ms, peak_mb)


async def cpu_of(process: psutil.Process, seconds: float) -> float:
    """Return the processor seconds that `process` uses in the next `seconds`."""
    before = process.cpu_times()
    await asyncio.sleep(seconds)
    after = process.cpu_times()
    return after.user + after.system - before.user - before.system


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    while not condition():
        await asyncio.sleep(0.05)


def configure(folder: Path, redis_url: str, address: str, count: int, every: str) -> None:
    """Write a configuration with `count` catalogs and the interval `every`."""
    lines = [f'redis_url = "{redis_url}"', 'log_level = "warning"', 'http_listen = "off"']
    for number in range(count):
        lines += [f"[catalogs.c{number}]", 'source = "http"', f'url = "{address}/c{number}"']
        lines += [f'poll_every = "{every}"']
    (folder / "publisher.toml").write_text("\n".join(lines))


@contextmanager
def run_publisher(folder: Path) -> Iterator[psutil.Process]:
    """Run a publisher; stop it with SIGTERM."""
    with subprocess.Popen(
        [sys.executable, "-m", "publisher", "run"], cwd=folder, env={"PATH": os.environ["PATH"]}
    ) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
