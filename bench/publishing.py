"""The publisher beside its floors: first import, polls, server load, memory.

.venv/bin/python -m bench.publishing --categories 100000 --runs 5
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import redis
import structlog

from bench import inputs, raw_socket, server
from bench.benchmarks import (
    BARE_SCRIPT,
    BLOCKED,
    FIRST_IMPORT,
    IDLE_SCRIPT,
    ONE_PERCENT,
    OTHER_ORDER,
    PEAK,
    READ_AGAIN,
    REDIS_MEMORY,
    SAME_BYTES,
    SCALED_MEMORY,
    SCALED_TIME,
    Benchmark,
)
from bench.json_loads import timed_loads
from bench.measure import Samples, measure_alternately, peak_bytes
from bench.report import Result, table_lines
from plumbing.redis import embedded_process
from plumbing.redis.server import Server
from publisher.polling.cache import StateCache
from publisher.polling.poll import poll_once
from publisher.sandbox.tree import Row
from publisher.sources import Answer
from publisher.state.store import Store
from tests.support.catalogs import make_catalog

STATUSES: Final = ("AVAILABLE", "INVITE_ONLY")
SCALE: Final = 10
"""The large tree of the scaling rows has ten times the categories of the small one."""


class MemorySource:
    """A source whose answer is in memory."""

    def __init__(self) -> None:
        self.body = b""

    async def fetch(self) -> Answer:
        """Return the answer."""
        return Answer(self.body, bare_list=False)


class Publisher:
    """A publisher in this process, and the server that it writes to."""

    def __init__(self, url: str, socket: Path, store: Store, cache: StateCache) -> None:
        self._socket = socket
        self._source = MemorySource()
        self._catalog = make_catalog(store, self._source, state_cache=cache)
        self.redis: redis.Redis = redis.Redis.from_url(url, protocol=2, socket_timeout=60)

    async def poll(self, body: bytes, outcome: str) -> float:
        """Poll `body`; return the seconds until the commit was acknowledged."""
        self._source.body = body
        start = time.perf_counter()
        polled = await poll_once(self._catalog)
        seconds = time.perf_counter() - start
        if polled.outcome != outcome:
            raise ValueError(f"a poll ended {polled.outcome}, not {outcome}")
        return seconds

    async def send(self, commands: bytes) -> float:
        """Send encoded `commands` without the publisher; return the seconds."""
        return await asyncio.to_thread(raw_socket.send, self._socket, commands)

    def seconds_of(self, command: str) -> float:
        """Return the seconds that the server has spent on `command` since it started."""
        stats: Any = self.redis.info("commandstats")
        return float(stats[f"cmdstat_{command}"]["usec"]) / 1e6

    def bytes_of(self, *names: str) -> float:
        """Return the memory of keys of catalog `us`, as the server reports it."""
        keys = [f"{raw_socket.KEY}{name}" for name in names]
        return float(sum(self.redis.memory_usage(key, samples=0) or 0 for key in keys))


@asynccontextmanager
async def open_publisher() -> AsyncIterator[Publisher]:
    """Start a server and a publisher.

    Each first import, ours and the floor's, gets a server of its own: one that has written before
    has allocated memory already, for data or for scripts.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    with tempfile.TemporaryDirectory(prefix="cpb-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        async with (
            server.running(folder) as url,
            Server(url).client() as client,
            aclosing(StateCache()) as cache,
        ):
            publisher = Publisher(url, folder / embedded_process.SOCKET, Store(client, "us"), cache)
            try:
                yield publisher
            finally:
                publisher.redis.close()


async def measure(categories: int, runs: int) -> list[Result]:
    """Run all benchmarks of the publisher with trees of `categories`."""
    tree = inputs.rows(categories)
    body = inputs.answer(tree)
    commands = await first_import_commands(body)
    results = [
        Result(FIRST_IMPORT, categories, await measure_import(body, commands, runs)),
        Result(BLOCKED, categories, await measure_blocking(body, commands, runs)),
        Result(
            BARE_SCRIPT,
            categories,
            await measure_script(raw_socket.encode_script(commands), commands, runs),
        ),
        Result(
            IDLE_SCRIPT,
            categories,
            await measure_script(raw_socket.encode_idle_script(commands), commands, runs),
        ),
        Result(REDIS_MEMORY, categories, await measure_redis_memory(body, commands)),
    ]
    results += [
        Result(benchmark, categories, samples)
        for benchmark, samples in await measure_polls(tree, runs)
    ]
    changed = inputs.answer(inputs.change(tree))
    peaks = [peak_of(body, changed) for _ in range(runs)]
    sizes = [float(len(body))] * runs
    return [*results, Result(PEAK, categories, Samples(peaks, sizes))]


async def first_import_commands(body: bytes) -> list[raw_socket.Command]:
    """Return the commands of a bare client that writes the first import of `body`."""
    async with open_publisher() as publisher:
        await publisher.poll(body, "changed")
        return raw_socket.written_commands(publisher.redis)


async def first_import(body: bytes) -> float:
    """Import `body` into an empty server."""
    async with open_publisher() as publisher:
        return await publisher.poll(body, "changed")


async def measure_import(body: bytes, commands: list[raw_socket.Command], runs: int) -> Samples:
    """Measure the first import beside a bare client that writes the same arguments."""
    data = raw_socket.encode_transaction(commands)

    async def floor() -> float:
        async with open_publisher() as publisher:
            return await publisher.send(data)

    return await measure_alternately(runs, lambda: first_import(body), floor)


async def measure_blocking(body: bytes, commands: list[raw_socket.Command], runs: int) -> Samples:
    """Measure how long a commit blocks the server, beside the same commands in EXEC."""

    async def ours() -> float:
        async with open_publisher() as publisher:
            await publisher.poll(body, "changed")
            return publisher.seconds_of("evalsha")

    return await measure_beside_exec(commands, runs, ours)


async def measure_script(script: bytes, commands: list[raw_socket.Command], runs: int) -> Samples:
    """Measure how long the EVAL `script` blocks the server, beside `commands` in EXEC."""

    async def ours() -> float:
        async with open_publisher() as publisher:
            await publisher.send(script)
            return publisher.seconds_of("eval")

    return await measure_beside_exec(commands, runs, ours)


async def measure_beside_exec(
    commands: list[raw_socket.Command], runs: int, ours: Callable[[], Awaitable[float]]
) -> Samples:
    """Measure `ours` beside the server's seconds for `commands` in EXEC."""
    data = raw_socket.encode_transaction(commands)

    async def floor() -> float:
        async with open_publisher() as publisher:
            await publisher.send(data)
            return publisher.seconds_of("exec")

    return await measure_alternately(runs, ours, floor)


async def measure_redis_memory(body: bytes, commands: list[raw_socket.Command]) -> Samples:
    """Measure the memory of state and events, beside plain HSET and XADD."""
    async with open_publisher() as publisher:
        await publisher.poll(body, "changed")
        ours = publisher.bytes_of("categories", "events")
    async with open_publisher() as publisher:
        await publisher.send(b"".join(map(raw_socket.encode, commands)))
        return Samples([ours], [publisher.bytes_of("categories", "events")])


async def measure_polls(tree: Sequence[Row], runs: int) -> list[tuple[Benchmark, Samples]]:
    """Measure polls as a daemon does them, beside `orjson.loads` of such a body."""
    first, second = inputs.answer(tree), inputs.answer(tree, request_id="2")
    # Another body each time: the publisher recognizes the same bytes.
    reordered = [
        inputs.answer(inputs.shuffle(tree, number), status=STATUSES[number % 2])
        for number in range(runs + 1)
    ]
    orders = iter(reordered)
    versions = [inputs.answer(inputs.change(tree)), first]

    async with (
        open_publisher() as publisher,
        timed_loads(first) as loads,
        timed_loads(reordered[0]) as reordered_loads,
    ):

        async def unchanged(body: bytes) -> float:
            return await publisher.poll(body, "unchanged")

        async def changed() -> float:
            versions.reverse()
            await unchanged(versions[0])
            return await publisher.poll(versions[1], "changed")

        async def read_again() -> float:
            versions.reverse()
            await publisher.poll(versions[1], "changed")
            return await unchanged(versions[1])

        await publisher.poll(first, "changed")
        await unchanged(first)
        return [
            (SAME_BYTES, await measure_alternately(runs, lambda: unchanged(second), loads)),
            (
                OTHER_ORDER,
                await measure_alternately(runs, lambda: unchanged(next(orders)), reordered_loads),
            ),
            (ONE_PERCENT, await measure_alternately(runs, changed, loads)),
            (READ_AGAIN, await measure_alternately(runs, read_again, loads)),
        ]


async def measure_scaling(small: int, runs: int) -> list[Result]:
    """Measure time and memory of ten times as many categories as `small`."""
    trees = [inputs.rows(count) for count in (SCALE * small, small)]
    large, few = map(inputs.answer, trees)
    seconds = await measure_alternately(
        runs, lambda: first_import(large), lambda: first_import(few)
    )
    changed = [inputs.answer(inputs.change(tree)) for tree in trees]
    bodies = zip((large, few), changed, strict=True)
    peaks = Samples(*[[peak_of(*each) for _ in range(runs)] for each in bodies])
    return [
        Result(SCALED_TIME, SCALE * small, seconds),
        Result(SCALED_MEMORY, SCALE * small, peaks),
    ]


def peak_of(body: bytes, changed: bytes) -> float:
    """Return the most bytes by which a process grows that polls both bodies."""
    with tempfile.TemporaryDirectory(prefix="cpb-") as name:
        paths = [Path(name) / "body.json", Path(name) / "changed.json"]
        for path, content in zip(paths, (body, changed), strict=True):
            path.write_bytes(content)
        command = [sys.executable, "-m", "bench.publishing", "--child", *map(str, paths)]
        done = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    return float(done.stdout)


async def peak_growth(body: Path, changed: Path) -> float:
    """Poll each file twice, a change and then none; return the growth in bytes.

    The second poll reads the state again, which needs the most.
    """
    async with open_publisher() as publisher:
        idle = peak_bytes()
        for path in (body, changed):
            content = path.read_bytes()
            for outcome in ("changed", "unchanged"):
                await publisher.poll(content, outcome)
            del content
        return peak_bytes() - idle


def main() -> None:
    """Measure, and print the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--categories", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(asyncio.run(peak_growth(*options.child)))
        return
    print("\n".join(table_lines(asyncio.run(measure(options.categories, options.runs)))))


if __name__ == "__main__":
    main()
