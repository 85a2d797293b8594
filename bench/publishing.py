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
from itertools import chain
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

    def flush(self) -> None:
        """Empty the server, of scripts and what they left too, and wait until it is done."""
        self.redis.flushall(asynchronous=False)
        self.redis.script_flush("SYNC")
        self.redis.config_resetstat()

    async def first_import(self, body: bytes) -> float:
        """Import `body` into an empty server."""
        self.flush()
        return await self.poll(body, "changed")

    async def bare_import(self, commands: bytes) -> float:
        """Write the same without a publisher."""
        self.flush()
        return await asyncio.to_thread(bare.seconds, self._socket, commands)

    async def commands(self, body: bytes) -> list[bare.Command]:
        """Return what a bare client writes instead of the first import of `body`."""
        await self.first_import(body)
        return bare.commands(self.redis)

    def seconds_of(self, command: str) -> float:
        """Return how long the server was busy with `command` since `flush`."""
        stats: Any = self.redis.info("commandstats")
        return float(stats[f"cmdstat_{command}"]["usec"]) / 1e6

    def bytes_of(self, *names: str) -> float:
        """Return the memory of keys of catalog `us`, as the server counts it."""
        keys = [f"{bare.KEY}{name}" for name in names]
        return float(sum(self.redis.memory_usage(key, samples=0) or 0 for key in keys))


@asynccontextmanager
async def opened() -> AsyncIterator[Bench]:
    """Start an embedded server, append-only file as ever, and a publisher."""
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
    async with opened() as bench:
        body = inputs.answer(tree)
        found = [
            Result(FIRST_IMPORT, categories, await importing(bench, body, runs)),
            Result(BLOCKED, categories, await blocking(bench, body, runs)),
            Result(HANDED, categories, await handing(bench, body, runs)),
            Result(REDIS_MEMORY, categories, await stored(bench, body)),
        ]
        found += [Result(bar, categories, each) for bar, each in await polling(bench, tree, runs)]
    peaks = [peak_of(body) for _ in range(runs)]
    sizes = [float(len(body))] * runs
    return [*found, Result(PEAK, categories, Samples(peaks, sizes))]


async def importing(bench: Bench, body: bytes, runs: int) -> Samples:
    """First import beside a bare client that writes the same words."""
    words = bare.transaction(await bench.commands(body))
    return await in_turn(runs, lambda: bench.first_import(body), lambda: bench.bare_import(words))


async def blocking(bench: Bench, body: bytes, runs: int) -> Samples:
    """How long the server answers nobody else: the commit, beside the same commands in EXEC."""

    async def ours() -> float:
        await bench.first_import(body)
        return bench.seconds_of("evalsha")

    return await beside_exec(bench, await bench.commands(body), runs, ours)


async def handing(bench: Bench, body: bytes, runs: int) -> Samples:
    """How long a script takes that does nothing: each word becomes a string of Lua's."""
    commands = await bench.commands(body)
    handed = bare.packed([b"EVAL", b"return 0", b"0", *chain.from_iterable(commands)])

    async def ours() -> float:
        await bench.bare_import(handed)
        return bench.seconds_of("eval")

    return await beside_exec(bench, commands, runs, ours)


async def beside_exec(
    bench: Bench, commands: list[bare.Command], runs: int, ours: Callable[[], Awaitable[float]]
) -> Samples:
    """Measure `ours` beside what the server takes for `commands` in EXEC."""
    words = bare.transaction(commands)

    async def floor() -> float:
        await bench.bare_import(words)
        return bench.seconds_of("exec")

    return await in_turn(runs, ours, floor)


async def stored(bench: Bench, body: bytes) -> Samples:
    """State and events in the server's memory, beside plain HSET and XADD of the same bytes."""
    commands = await bench.commands(body)
    ours = bench.bytes_of("categories", "events")
    await bench.bare_import(b"".join(map(bare.packed, commands)))
    return Samples([ours], [bench.bytes_of("categories", "events")])


async def polling(bench: Bench, tree: list[inputs.Row], runs: int) -> list[tuple[Any, Samples]]:
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

    await bench.first_import(first)
    await settled(first)
    same = await in_turn(runs, lambda: settled(second), floor)
    order = await in_turn(runs, lambda: settled(next(orders)), floor)
    percent = await in_turn(runs, changed, floor)
    return [
        (SAME_BYTES, same),
        (OTHER_ORDER, order),
        (ONE_PERCENT, percent),
        (READ_BACK, await in_turn(runs, read_back, floor)),
    ]


async def scaled(small: int, runs: int) -> list[Result]:
    """Import ten times as many categories as `small`: in time and in memory."""
    large, few = (inputs.answer(inputs.rows(count)) for count in (BIG * small, small))
    async with opened() as bench:
        seconds = await in_turn(
            runs, lambda: bench.first_import(large), lambda: bench.first_import(few)
        )
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
        await bench.first_import(path.read_bytes())  # noqa: ASYNC240  nothing else goes on
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
