"""The publisher beside its floors: first import, polls, what it costs the server, memory.

.venv/bin/python -m bench.publishing --categories 100000 --runs 5
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import redis
import structlog

from bench import bare, inputs, loads, server
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
from plumbing.redis import embedded
from plumbing.redis.server import Server
from publisher.polling.cache import StateCache, open_cache
from publisher.polling.poll import poll_once
from publisher.sandbox.tree import Row
from publisher.sources import Answer
from publisher.state.store import Store
from tests.support.catalogs import make_catalog

STATUSES: Final = ("AVAILABLE", "INVITE_ONLY")
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

    def __init__(self, url: str, socket: Path, store: Store, cache: StateCache) -> None:
        self._socket = socket
        self._source = Said()
        self._catalog = make_catalog(store, self._source, state_cache=cache)
        self.redis: redis.Redis = redis.Redis.from_url(url, protocol=2, socket_timeout=60)

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
    """Start a server and a publisher.

    First imports, ours and the floor's, each get one of their own: a server that has written before
    has memory at hand, the one for what it stores and the other for its scripts too.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    with tempfile.TemporaryDirectory(prefix="cpb-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        async with (
            server.running(folder) as url,
            Server(url).client() as client,
            open_cache() as cache,
        ):
            bench = Bench(url, folder / embedded.SOCKET, Store(client, "us"), cache)
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
    changed = inputs.answer(inputs.changed(tree))
    peaks = [peak_of(body, changed) for _ in range(runs)]
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


async def polling(tree: Sequence[Row], runs: int) -> list[tuple[Bar, Samples]]:
    """Poll as a daemon does, beside `orjson.loads` of such a body."""
    first, second = inputs.answer(tree), inputs.answer(tree, request_id="2")
    # another one each time: of the same bytes the publisher knows that they are
    mixed = [
        inputs.answer(inputs.shuffled(tree, number), status=STATUSES[number % 2])
        for number in range(runs + 1)
    ]
    orders = iter(mixed)
    versions = [inputs.answer(inputs.changed(tree)), first]

    async with opened() as bench, loads.of(first) as ordered, loads.of(mixed[0]) as disordered:

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
            (SAME_BYTES, await in_turn(runs, lambda: settled(second), ordered)),
            (OTHER_ORDER, await in_turn(runs, lambda: settled(next(orders)), disordered)),
            (ONE_PERCENT, await in_turn(runs, changed, ordered)),
            (READ_BACK, await in_turn(runs, read_back, ordered)),
        ]


async def scaled(small: int, runs: int) -> list[Result]:
    """Import ten times as many categories as `small`: in time and in memory."""
    trees = [inputs.rows(count) for count in (BIG * small, small)]
    large, few = map(inputs.answer, trees)
    seconds = await in_turn(runs, lambda: first_import(large), lambda: first_import(few))
    changed = [inputs.answer(inputs.changed(tree)) for tree in trees]
    bodies = zip((large, few), changed, strict=True)
    peaks = Samples(*[[peak_of(*each) for _ in range(runs)] for each in bodies])
    return [Result(SCALED_TIME, BIG * small, seconds), Result(SCALED_MEMORY, BIG * small, peaks)]


def peak_of(body: bytes, changed: bytes) -> float:
    """Return the bytes by which a process of its own grows at its most that polls these."""
    with tempfile.TemporaryDirectory(prefix="cpb-") as name:
        paths = [Path(name) / "body.json", Path(name) / "changed.json"]
        for path, content in zip(paths, (body, changed), strict=True):
            path.write_bytes(content)
        command = [sys.executable, "-m", "bench.publishing", "--child", *map(str, paths)]
        done = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    return float(done.stdout)


async def grown(body: Path, changed: Path) -> float:
    """Poll both files twice, each time a change and then none; return by how much that grew.

    The second poll of each reads the state back, which is most.
    """
    async with opened() as bench:
        idle = peak_bytes()
        for path in (body, changed):
            content = path.read_bytes()
            for outcome in ("changed", "unchanged"):
                await bench.poll(content, outcome)
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
        print(asyncio.run(grown(*options.child)))
        return
    print("\n".join(lines(asyncio.run(measured(options.categories, options.runs)))))


if __name__ == "__main__":
    main()
