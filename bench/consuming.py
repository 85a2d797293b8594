"""A mirror with all its checks beside a bare loop without any.

Catch-up (events of the stream into the tables) and reset (the whole state into empty tables), each
beside its floor (`bench.bare_consumers`), alternately in one run. The real publisher has written
the data into the embedded server with its append-only file on; after every run the tables are
compared with what was published.

    .venv/bin/python -m bench.consuming --categories 100000 --events 100000 --runs 5
    .venv/bin/python -m bench.consuming --database postgresql
"""

import argparse
import asyncio
import itertools
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import redis
import structlog

from bench import bare_consumers, server
from bench.bare_consumers import CATALOG
from bench.benchmarks import CATCH_UP, RESET
from bench.measure import Samples, measure_alternately
from bench.report import Result, table_lines
from consumers.contract.model import Checkpoint, Snapshot
from consumers.following.catalog_client import connect
from consumers.following.reader import Reader
from consumers.following.runner import run_projection
from consumers.sql.database import open_database
from consumers.sql.mirror import Mirror
from plumbing.redis.server import Client, Server
from publisher.core.event import Position
from publisher.polling.cache import StateCache
from publisher.polling.poll import poll_once
from publisher.sources import Answer
from publisher.state.commit import Commit
from publisher.state.store import Store
from tests.support.catalogs import make_catalog, make_limits
from tests.support.databases import MariaDb, Postgres, fetch

DATABASES = ("sqlite", "postgresql", "mariadb")
ANYTHING = make_limits(max_removed=1_000_000, max_updated=1_000_000)
"""Limits with which the guard accepts everything that is published here."""

Row: TypeAlias = dict[str, Any]
Tree: TypeAlias = dict[str, Row]
Start: TypeAlias = tuple[Snapshot, Checkpoint] | None
"""The state and position that a run starts with; None for empty tables."""
NewDatabase: TypeAlias = Callable[[], Awaitable[str]]
"""Creates an empty database and returns its URL."""


def main() -> None:
    """Measure, and print the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--categories", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--database", choices=DATABASES, default=DATABASES[0])
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(_measure(options.categories, options.events, options.runs, options.database))


async def _measure(categories: int, events: int, runs: int, name: str) -> None:
    results = [
        Result(CATCH_UP, events, await catch_up(categories, events, runs, name=name)),
        Result(RESET, categories, await reset(categories, runs, name=name)),
    ]
    if name != "sqlite":  # the bars are for SQLite
        results = [
            each._replace(
                benchmark=each.benchmark._replace(name=each.benchmark.name.replace("SQLite", name)),
                is_judged=False,
            )
            for each in results
        ]
    print("\n".join(table_lines(results)))


async def catch_up(categories: int, events: int, runs: int, *, name: str = "sqlite") -> Samples:
    """Measure the seconds for `events` from the stream into a database of kind `name`."""
    async with open_shop() as shop, database_factory(name, shop.folder) as new:
        await shop.publish(generate_tree(categories))
        start = await shop.state()
        for number in itertools.count():
            left = events - await shop.events_since(start[1])
            if left == 0:
                break
            await shop.publish(edit(shop.tree, left, number))
        return await _measure_mirror(shop, new, start, runs)


async def reset(categories: int, runs: int, *, name: str = "sqlite") -> Samples:
    """Measure the seconds for a state into empty tables of a database of kind `name`."""
    async with open_shop() as shop, database_factory(name, shop.folder) as new:
        await shop.publish(generate_tree(categories))
        return await _measure_mirror(shop, new, None, runs)


@asynccontextmanager
async def client_of(server: Server) -> AsyncIterator[Client]:
    """Open a client of `server`, closed at the end of the context."""
    client = server.client()
    try:
        yield client
    finally:
        await client.aclose()


class Shop:
    """A catalog whose publisher publishes `tree` on request."""

    def __init__(self, folder: Path, url: str, client: Client, cache: StateCache) -> None:
        self.folder = folder
        self.url = url
        self.server = Server(url)
        self.client = client
        self.tree: Tree = {}
        self.store = TimedStore(client, CATALOG)
        self._catalog = make_catalog(self.store, self, limits=ANYTHING, state_cache=cache)

    async def fetch(self) -> Answer:
        """Return the tree: this is the publisher's source."""
        return Answer(orjson.dumps(list(self.tree.values())), bare_list=True)

    async def publish(self, tree: Tree) -> None:
        """Publish `tree`."""
        self.tree = tree
        await poll_once(self._catalog)

    async def state(self) -> tuple[Snapshot, Checkpoint]:
        """Return the current state, as a consumer reads it."""
        async with connect(self.server, CATALOG, once=True) as events:
            return await events.snapshot()

    async def position(self) -> tuple[str, ...]:
        """Return epoch, sequence and digest of the current state."""
        fields = ("epoch", "sequence", "digest")
        meta: Any = await self.client.hmget(f"catalog:{{{CATALOG}}}:meta", fields)
        return tuple(value.decode() for value in meta)

    async def events_since(self, start: Checkpoint) -> int:
        """Return the number of events since `start`."""
        return int((await self.position())[1]) - start.sequence

    async def wait_for_readers(self, count: int) -> None:
        """Wait until `count` readers wait for an event."""
        while (await self.client.info("clients"))["blocked_clients"] < count:
            await asyncio.sleep(0)


class TimedStore(Store):
    """A store that records when its last commit started."""

    commit_started = 0.0

    async def commit(self, commit: Commit) -> Position:
        """Commit, and record the time."""
        self.commit_started = time.perf_counter()
        return await super().commit(commit)


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    """Run the embedded server, with nothing published yet."""
    with tempfile.TemporaryDirectory(prefix="cpb-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # noqa: ASYNC240  PostgreSQL runs as another user
        async with (
            server.running(folder) as url,
            client_of(Server(url)) as client,
            aclosing(StateCache()) as cache,
        ):
            yield Shop(folder, url, client, cache)


def generate_tree(count: int) -> Tree:
    """Return a tree of `count` categories, of which one in a hundred is a root."""
    roots = max(1, count // 100)
    rows = (
        _row(str(id_), f"Category {id_}", "0" if id_ <= roots else str(1 + id_ % roots))
        for id_ in range(1, count + 1)
    )
    return {row["id"]: row for row in rows}


def edit(old: Tree, events: int, number: int) -> Tree:
    """Return `old` with at most `events` changes.

    Of ten, eight are updates, one an addition and one a removal.
    """
    leaves = [one for one in old.values() if one["parent_id"] != "0"]
    count = min(events, len(leaves))
    tenth = count // 10
    new = dict(old)
    for one in leaves[:tenth]:
        del new[one["id"]]
    for one in leaves[tenth : count - tenth]:
        new[one["id"]] = one | {"local_name": f"Renamed {number} {one['id']}"}
    for index in range(tenth):
        id_ = f"9{number:06}{index:06}"
        new[id_] = _row(id_, f"Added {id_}", leaves[0]["parent_id"])
    return new


def _row(id_: str, local_name: str, parent_id: str) -> Row:
    is_leaf = parent_id != "0"
    return {"id": id_, "parent_id": parent_id, "local_name": local_name, "is_leaf": is_leaf}


async def _measure_mirror(shop: Shop, new: NewDatabase, start: Start, runs: int) -> Samples:
    """Measure mirror and bare loop, each with a new database that begins at `start`."""

    async def run(consume: Callable[[str], Awaitable[float]]) -> float:
        url = await new()
        await _prepare(url, start)
        seconds = await consume(url)
        await _check(shop, url)
        return seconds

    async def ours(url: str) -> float:
        return await _run_mirror(shop, url)

    async def bare(url: str) -> float:
        return await _run_bare_loop(shop, url, start)

    return await measure_alternately(runs, lambda: run(ours), lambda: run(bare))


async def _prepare(url: str, start: Start) -> None:
    """Create the tables in `url`, with the rows of `start`."""
    async with open_database(url) as opened:
        mirror = Mirror(opened, CATALOG)
        await mirror.load()
        if start is not None:
            await mirror.reset(*start)


async def _run_mirror(shop: Shop, url: str) -> float:
    async with (
        open_database(url) as opened,
        connect(shop.server, CATALOG, once=True) as events,
    ):
        start = time.perf_counter()
        await run_projection(Mirror(opened, CATALOG), Reader(events, "mirror", once=True))
        return time.perf_counter() - start


async def _run_bare_loop(shop: Shop, url: str, start: Start) -> float:
    with redis.Redis.from_url(shop.url, protocol=2) as server:
        async with bare_consumers.open_bare(url) as opened:
            begin = time.perf_counter()
            if start is None:
                await bare_consumers.reset(server, opened)
            else:
                await bare_consumers.follow(server, opened, start[1].offset)
            return time.perf_counter() - begin


async def _check(shop: Shop, url: str) -> None:
    """Raise ValueError unless the tables have the publisher's state."""
    rows = await fetch(url, "SELECT id, parent_id, local_name, is_leaf FROM categories")
    found = {(*each[:3], bool(each[3])) for each in rows}
    checkpoints = await fetch(url, "SELECT epoch, sequence, digest FROM checkpoints")
    expected = {tuple(one.values()) for one in shop.tree.values()}
    if found != expected or [tuple(map(str, each)) for each in checkpoints] != [
        await shop.position()
    ]:
        raise ValueError(f"{url}: the tables differ from the state")


@asynccontextmanager
async def database_factory(name: str, folder: Path) -> AsyncIterator[NewDatabase]:
    """Run a database server of kind `name`; yield a function that creates databases."""
    path = Path(tempfile.mkdtemp(prefix="cpb-", dir=folder))
    if name == "sqlite":
        numbers = itertools.count()

        async def new_file() -> str:
            return f"sqlite:///{path / f'{next(numbers)}.sqlite'}"

        yield new_file
        return
    servers: dict[str, Any] = {"postgresql": Postgres, "mariadb": MariaDb}
    with servers[name](path) as server:
        yield server.new


if __name__ == "__main__":
    main()
