"""A mirror with all its checks, beside a bare loop that does the same writes without any.

Catch-up (events of the stream into the tables) and reset (the whole state into empty tables), in
one run, in turn, into databases that are started for it. `bench.floor` says what the bare loops
are. Every run ends with a comparison of what was written.

    .venv/bin/python -m bench.consumers --categories 100000 --events 100000 --runs 5
"""

import argparse
import asyncio
import contextlib
import logging
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import redis
import structlog

from bench import floor
from bench.floor import CATALOG
from consumers import stream
from consumers.keep import keep
from consumers.mirror import Mirror
from consumers.model import Checkpoint, Snapshot
from consumers.reader import Reader
from consumers.sql import database
from plumbing import embedded
from plumbing.server import Server
from plumbing.stay import Stay
from tests.consumers.pretend_publisher import PretendPublisher, Tree, row, tree
from tests.databases import MariaDb, Postgres, fetch

DATABASES = ("sqlite", "postgresql", "mariadb")

Start: TypeAlias = tuple[Snapshot, Checkpoint] | None
"""What a run begins with; None is nothing."""
Work: TypeAlias = Callable[[str], Awaitable[float]]
"""Works on the database of a URL and returns how many seconds that took."""


def main() -> None:
    """Measure, and print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--categories", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--database", choices=DATABASES, action="append")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(
        measured(
            options.categories, options.events, options.runs, options.database or DATABASES[:2]
        )
    )


async def measured(categories: int, events: int, runs: int, databases: Sequence[str]) -> None:
    """Measure catch-up and reset in each of `databases`."""
    print("| database | work | ratio | mirror | bare loop | mirror/s | bare loop/s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="cpb-") as folder:
        Path(folder).chmod(0o755)  # noqa: ASYNC240  PostgreSQL runs as another user
        async with (
            embedded.running(Path(folder), Stay.BORROW) as url,
            Server(url).client() as client,
            contextlib.AsyncExitStack() as stack,
        ):
            publisher = PretendPublisher(client)
            await publisher.commit(grown(categories))
            bench = Bench(url, publisher, await state(url))
            stores = {
                name: await stack.enter_async_context(served(name, Path(folder)))
                for name in databases
            }
            await commit_events(publisher, events)
            for name, new in stores.items():
                print(await bench.row(name, new, "catch-up", events, runs), flush=True)
            for name, new in stores.items():
                count = len(publisher.tree)
                print(await bench.row(name, new, "reset", count, runs), flush=True)


def grown(count: int) -> Tree:
    """Return a tree of `count` categories, one in a hundred a root."""
    roots = max(1, count // 100)
    return tree(
        *(
            row(str(id_), f"Category {id_}", "0" if id_ <= roots else str(1 + id_ % roots))
            for id_ in range(1, count + 1)
        )
    )


async def commit_events(publisher: PretendPublisher, count: int) -> None:
    """Commit `count` events: of ten, eight updates, an addition and a removal."""
    end = publisher.sequence + count
    number = 0
    while left := end - publisher.sequence:
        number += 1
        await publisher.commit(edited(publisher.tree, left, number))


def edited(old: Tree, events: int, number: int) -> Tree:
    """Return a tree to which at most `events` lead from `old`."""
    leaves = [one for one in old.values() if one["parent_id"] != "0"]
    count = min(events, len(leaves))
    ends = count // 10
    new = dict(old)
    for one in leaves[:ends]:
        del new[one["id"]]
    for one in leaves[ends : count - ends]:
        new[one["id"]] = one | {"local_name": f"Renamed {number} {one['id']}"}
    for index in range(ends):
        id_ = f"9{number:06}{index:06}"
        new[id_] = row(id_, f"Added {id_}", leaves[0]["parent_id"])
    return new


async def state(url: str) -> tuple[Snapshot, Checkpoint]:
    """Return the state as it is now."""
    async with stream.opened(Server(url), CATALOG, once=True) as events:
        return await events.snapshot()


class Bench:
    """Runs of a mirror and of the bare loop, on a stream that goes on from `before`."""

    def __init__(
        self, redis_url: str, publisher: PretendPublisher, before: tuple[Snapshot, Checkpoint]
    ) -> None:
        self._redis_url = redis_url
        self._publisher = publisher
        self._before = before

    async def row(
        self, name: str, new: Callable[[], Awaitable[str]], what: str, count: int, runs: int
    ) -> str:
        """Do `what`, about `count` things, in turn `runs` times; return the row of the table."""
        start = self._before if what == "catch-up" else None
        ours, bare = [], []
        for _ in range(runs):
            ours.append(await self._run(await new(), start, self._mirror))
            bare.append(await self._run(await new(), start, self._bare(start)))
        mine, its = statistics.median(ours), statistics.median(bare)
        return (
            f"| {name} | {what} of {count} | {mine / its:.2f} | {mine:.2f} s | {its:.2f} s"
            f" | {count / mine:,.0f} | {count / its:,.0f} |"
        )

    async def _run(self, url: str, start: Start, work: Work) -> float:
        """Make the tables in `url`, and what they hold at the `start`; then let it be timed."""
        async with database.opened(url) as store:
            mirror = Mirror(store, CATALOG)
            await mirror.load()
            if start is not None:
                await mirror.reset(*start)
        seconds = await work(url)
        await self._check(url)
        return seconds

    async def _mirror(self, url: str) -> float:
        async with (
            database.opened(url) as store,
            stream.opened(Server(self._redis_url), CATALOG, once=True) as events,
        ):
            begin = time.perf_counter()
            await keep(Mirror(store, CATALOG), Reader(events, "mirror", once=True))
            return time.perf_counter() - begin

    def _bare(self, start: Start) -> Work:
        async def work(url: str) -> float:
            with redis.Redis.from_url(self._redis_url, protocol=2) as server:
                async with floor.opened(url) as opened:
                    begin = time.perf_counter()
                    if start is None:
                        await floor.reset(server, opened)
                    else:
                        await floor.follow(server, opened, start[1].offset)
                    return time.perf_counter() - begin

        return work

    async def _check(self, url: str) -> None:
        """Raise ValueError unless what was written is the publisher's state."""
        rows = await fetch(url, "SELECT id, parent_id, local_name, is_leaf FROM categories")
        found = {(*each[:3], bool(each[3])) for each in rows}
        marks = await fetch(url, "SELECT epoch, sequence, digest FROM checkpoints")
        wanted = {tuple(one.values()) for one in self._publisher.tree.values()}
        if found != wanted or ["-".join(map(str, each)) for each in marks] != [
            self._publisher.position
        ]:
            raise ValueError(f"{url}: what was written is not the state")


@asynccontextmanager
async def served(name: str, folder: Path) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Have a database of kind `name` running, and give what makes a new one in it."""
    path = Path(tempfile.mkdtemp(prefix="cpb-", dir=folder))
    if name == "sqlite":
        numbers = iter(range(1_000_000))

        async def new_file() -> str:
            return f"sqlite:///{path / f'{next(numbers)}.sqlite'}"

        yield new_file
        return
    servers: dict[str, Any] = {"postgresql": Postgres, "mariadb": MariaDb}
    with servers[name](path) as server:
        yield server.new


if __name__ == "__main__":
    main()
