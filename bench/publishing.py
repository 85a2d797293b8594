"""The publisher beside its floors: first import, polls, what it costs the server, memory.

.venv/bin/python -m bench.publishing --categories 100000 --runs 5
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson
import redis
import structlog

from bench import bare, inputs
from bench.measure import Samples, in_turn, peak_bytes
from bench.report import Result, lines
from bench.works import (
    BLOCKED,
    FIRST_IMPORT,
    HANDED,
    ONE_PERCENT,
    OTHER_ORDER,
    PEAK,
    READ_BACK,
    REDIS_MEMORY,
    SAME_BYTES,
    SCALED_MEMORY,
    SCALED_TIME,
    SCRIPTED,
    Bar,
)
from plumbing import embedded
from plumbing.server import Server
from plumbing.stay import Stay
from publisher.memory import Memory, remembering
from publisher.poll import Catalog, poll_once
from publisher.sources import Answer
from publisher.store import Store

BIG: Final = 10
"""The large tree of the scaling rows is so many times the small one."""


class Said:
    """A source whose answer is in memory."""

    def __init__(self) -> None:
        self.body = b""

    async def fetch(self) -> Answer:
        """Answer."""
        return Answer(self.body, bare_list=False)


class Bench:
    """A publisher in this process, and the server that it writes to."""

    def __init__(self, url: str, socket: Path, store: Store, memory: Memory) -> None:
        self.url = url
        self._socket = socket
        self._source = Said()
        self._catalog = Catalog("us", {"source": "bench"}, self._source, store, memory=memory)
        self.redis: redis.Redis = redis.Redis.from_url(url, protocol=2, socket_timeout=60)
        # A rewrite of the file would begin amid some run, and take the other core from it.
        self.redis.config_set("auto-aof-rewrite-percentage", 0)

    async def poll(self, body: bytes, outcome: str) -> float:
        """Poll an answer that is in memory; return how long until the commit was acknowledged."""
        self._source.body = body
        begin = time.perf_counter()
        polled = await poll_once(self._catalog)
        seconds = time.perf_counter() - begin
        if polled.outcome != outcome:
            raise ValueError(f"a poll ended {polled.outcome}, not {outcome}")
        return seconds

    async def bare(self, commands: bytes) -> float:
        """Send `commands` without a publisher; return how long until all were acknowledged."""
        return await asyncio.to_thread(bare.seconds, self._socket, commands)

    def seconds_of(self, command: str) -> float:
        """Return how long the server was busy with `command` since it started."""
        stats: Any = self.redis.info("commandstats")
        return float(stats[f"cmdstat_{command}"]["usec"]) / 1e6

    def bytes_of(self, *names: str) -> float:
        """Return the memory of keys of catalog `us`, as the server counts it."""
        keys = [f"{bare.KEY}{name}" for name in names]
        return float(sum(self.redis.memory_usage(key, samples=0) or 0 for key in keys))


@asynccontextmanager
async def opened() -> AsyncIterator[Bench]:
    """Start an embedded server, append-only file as ever, and a publisher.

    First imports, ours and the floor's, each get one of their own: a server that has written before
    has memory at hand, the one for what it stores and the other for its scripts too.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    with tempfile.TemporaryDirectory(prefix="cpb-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        async with (
            embedded.running(folder, Stay.BORROW) as url,
            Server(url).client() as client,
            remembering() as memory,
        ):
            bench = Bench(url, folder / embedded.SOCKET, Store(client, "us"), memory)
            try:
                yield bench
            finally:
                bench.redis.close()


async def measured(categories: int, runs: int) -> list[Result]:
    """Measure all works of the publisher with trees of `categories`."""
    tree = inputs.rows(categories)
    body = inputs.answer(tree)
    commands = await written(body)
    found = [
        Result(FIRST_IMPORT, categories, await importing(body, commands, runs)),
        Result(BLOCKED, categories, await blocking(body, commands, runs)),
        Result(SCRIPTED, categories, await running(bare.scripted(commands), commands, runs)),
        Result(HANDED, categories, await running(bare.handed(commands), commands, runs)),
        Result(REDIS_MEMORY, categories, await stored(body, commands)),
    ]
    found += [Result(bar, categories, each) for bar, each in await polling(tree, runs)]
    peaks = [peak_of(body) for _ in range(runs)]
    sizes = [float(len(body))] * runs
    return [*found, Result(PEAK, categories, Samples(peaks, sizes))]


async def written(body: bytes) -> list[bare.Command]:
    """Return what a bare client writes instead of the first import of `body`."""
    async with opened() as bench:
        await bench.poll(body, "changed")
        return bare.commands(bench.redis)


async def first_import(body: bytes) -> float:
    """Import `body` into an empty server."""
    async with opened() as bench:
        return await bench.poll(body, "changed")


async def importing(body: bytes, commands: list[bare.Command], runs: int) -> Samples:
    """First import beside a bare client that writes the same words."""
    words = bare.transaction(commands)

    async def floor() -> float:
        async with opened() as bench:
            return await bench.bare(words)

    return await in_turn(runs, lambda: first_import(body), floor)


async def blocking(body: bytes, commands: list[bare.Command], runs: int) -> Samples:
    """How long the server answers nobody else: the commit, beside the same commands in EXEC."""

    async def ours() -> float:
        async with opened() as bench:
            await bench.poll(body, "changed")
            return bench.seconds_of("evalsha")

    return await beside_exec(commands, runs, ours)


async def running(script: bytes, commands: list[bare.Command], runs: int) -> Samples:
    """How long the server takes for `script`, an EVAL, beside `commands` in EXEC."""

    async def ours() -> float:
        async with opened() as bench:
            await bench.bare(script)
            return bench.seconds_of("eval")

    return await beside_exec(commands, runs, ours)


async def beside_exec(
    commands: list[bare.Command], runs: int, ours: Callable[[], Awaitable[float]]
) -> Samples:
    """Measure `ours` beside what the server takes for `commands` in EXEC."""
    words = bare.transaction(commands)

    async def floor() -> float:
        async with opened() as bench:
            await bench.bare(words)
            return bench.seconds_of("exec")

    return await in_turn(runs, ours, floor)


async def stored(body: bytes, commands: list[bare.Command]) -> Samples:
    """State and events in the server's memory, beside plain HSET and XADD of the same bytes."""
    async with opened() as bench:
        await bench.poll(body, "changed")
        ours = bench.bytes_of("categories", "events")
    async with opened() as bench:
        await bench.bare(b"".join(map(bare.packed, commands)))
        return Samples([ours], [bench.bytes_of("categories", "events")])


async def polling(tree: list[inputs.Row], runs: int) -> list[tuple[Bar, Samples]]:
    """Poll as a daemon does, beside `orjson.loads` of the same body."""
    first, second = inputs.answer(tree), inputs.answer(tree, request_id="2")
    mixed = [inputs.shuffled(tree, number) for number in range(runs + 1)]
    # another one each time: of the same bytes the publisher knows that they are
    orders = iter([inputs.answer(each, status="INVITE_ONLY") for each in mixed])
    versions = [inputs.answer(inputs.renamed(tree)), first]

    async def floor() -> float:
        begin = time.perf_counter()
        orjson.loads(first)
        return time.perf_counter() - begin

    async with opened() as bench:

        async def settled(body: bytes) -> float:
            return await bench.poll(body, "unchanged")

        async def changed() -> float:
            versions.reverse()
            await settled(versions[0])
            return await bench.poll(versions[1], "changed")

        async def read_back() -> float:
            versions.reverse()
            await bench.poll(versions[1], "changed")
            return await settled(versions[1])

        await bench.poll(first, "changed")
        await settled(first)
        return [
            (SAME_BYTES, await in_turn(runs, lambda: settled(second), floor)),
            (OTHER_ORDER, await in_turn(runs, lambda: settled(next(orders)), floor)),
            (ONE_PERCENT, await in_turn(runs, changed, floor)),
            (READ_BACK, await in_turn(runs, read_back, floor)),
        ]


async def scaled(small: int, runs: int) -> list[Result]:
    """Import ten times as many categories as `small`: in time and in memory."""
    large, few = (inputs.answer(inputs.rows(count)) for count in (BIG * small, small))
    seconds = await in_turn(runs, lambda: first_import(large), lambda: first_import(few))
    peaks = Samples(*[[peak_of(body) for _ in range(runs)] for body in (large, few)])
    return [Result(SCALED_TIME, BIG * small, seconds), Result(SCALED_MEMORY, BIG * small, peaks)]


def peak_of(body: bytes) -> float:
    """Return the bytes by which a process of its own grows at its most that imports `body`."""
    with tempfile.NamedTemporaryFile(prefix="cpb-") as file:
        file.write(body)
        file.flush()
        command = [sys.executable, "-m", "bench.publishing", "--child", file.name]
        done = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    return float(done.stdout)


async def grown(path: Path) -> float:
    """Import the body in the file at `path`; return how many bytes more than idle that took."""
    async with opened() as bench:
        idle = peak_bytes()
        await bench.poll(path.read_bytes(), "changed")  # noqa: ASYNC240  nothing else goes on
        return peak_bytes() - idle


def main() -> None:
    """Measure, and print the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--categories", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(asyncio.run(grown(options.child)))
        return
    print("\n".join(lines(asyncio.run(measured(options.categories, options.runs)))))


if __name__ == "__main__":
    main()
