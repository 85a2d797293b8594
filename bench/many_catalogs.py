"""Many catalogs in one process: memory of an idle one, processor time of a poll, and their growth.

A real `category-publisher run` with sources over HTTP on loopback, on a real server. It is looked
at twice: idle, all catalogs polled and the next poll an hour away (what is left is the leases),
and polling at the same rate for each number of catalogs, nothing changed.

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

from bench.measure import peak_bytes
from bench.served import served
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
    """What one run costs."""

    catalogs: int
    first_seconds: float
    """From the start until all catalogs were polled."""
    idle_mb: float
    idle_cpu: float
    """Share of a core, nothing to poll: the leases."""
    polls: int
    cpu_ms: float
    """Of a poll, without that."""
    peak_mb: float


def main() -> None:
    """Measure, and print a line per number of catalogs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--catalogs", type=int, nargs="+", default=[100, 1000, 10_000])
    options = parser.parse_args()
    print("catalogs  first polls  idle memory  idle cpu  polls  cpu per poll  peak memory")
    before = None
    for count in options.catalogs:
        found = asyncio.run(measured(count))
        print(
            f"{found.catalogs:8}  {found.first_seconds:9.1f} s  {found.idle_mb:8.1f} MB  "
            f"{found.idle_cpu:7.1%}  {found.polls:5}  {found.cpu_ms:9.1f} ms  "
            f"{found.peak_mb:8.1f} MB"
        )
        if before:
            more = (found.idle_mb - before.idle_mb) / (found.catalogs - before.catalogs)
            print(f"          {more * 1000:.1f} kB more for each catalog more")
        before = found


async def measured(count: int) -> Figures:
    """Measure with `count` catalogs."""
    with tempfile.TemporaryDirectory(prefix="cpb-") as name:
        folder = Path(name)
        async with (
            embedded.open_embedded_server(folder, EmbeddedMode.START_IF_NEEDED) as redis_url,
            served(BODY) as asked,
        ):
            address, calls = asked
            configure(folder, redis_url, address, count, "1h")
            begun = time.monotonic()
            with publisher(folder) as process:
                await until(lambda: len(calls) >= count)
                first = time.monotonic() - begun
                await asyncio.sleep(5)
                idle = await cpu_of(process, IDLE_SECONDS)
                idle_mb = process.memory_info().rss / 1e6
            configure(folder, redis_url, address, count, f"{count / POLLS_A_SECOND:.3f}s")
            with publisher(folder) as process:
                await asyncio.sleep(20 + count / 500)
                calls.clear()
                polling = await cpu_of(process, POLLING_SECONDS)
                polls = len(calls)
                cpu_ms = (polling - idle / IDLE_SECONDS * POLLING_SECONDS) / polls * 1000
                peak_mb = peak_bytes(process.pid) / 1e6
    return Figures(count, first, idle_mb, idle / IDLE_SECONDS, polls, cpu_ms, peak_mb)


async def cpu_of(process: psutil.Process, seconds: float) -> float:
    """Return the processor seconds that `process` takes in the next `seconds`."""
    before = process.cpu_times()
    await asyncio.sleep(seconds)
    after = process.cpu_times()
    return after.user + after.system - before.user - before.system


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    while not condition():
        await asyncio.sleep(0.05)


def configure(folder: Path, redis_url: str, address: str, count: int, every: str) -> None:
    """Write a configuration of `count` catalogs that are polled `every` so often."""
    lines = [f'redis_url = "{redis_url}"', 'log_level = "warning"', 'http_listen = "off"']
    for number in range(count):
        lines += [f"[catalogs.c{number}]", 'source = "http"', f'url = "{address}/c{number}"']
        lines += [f'poll_every = "{every}"']
    (folder / "publisher.toml").write_text("\n".join(lines))


@contextmanager
def publisher(folder: Path) -> Iterator[psutil.Process]:
    """Let a publisher run; end it with SIGTERM."""
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
