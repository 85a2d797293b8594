"""Lets the peers work, one after another, on the same input and against the same embedded server.

In the main environment, as our publisher's process is; the peers' are in `.venv/bench`. Nothing
leaves this machine: all talk over a Unix socket or loopback.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import asyncpg
import redis

from bench import server
from bench.peers import figure, given
from bench.peers.figure import PeerFigure
from publisher.sandbox.synthetic import generate
from publisher.sandbox.tree import Row
from tests.support.databases import Postgres

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "bench" / "bin" / "python"
OURS = ("bench.peers.ours", "bench.peers.ours_consumer")
LIMIT_SECONDS = 620
"""A peer ends itself before that (meter.LIMIT_SECONDS)."""
STREAM = "catalog:{us}:events"
CHUNK = 1000
"""Events of one pipeline."""


class Given(NamedTuple):
    """What there is for a peer to work on."""

    folder: Path
    redis_url: str
    tree: Sequence[Row]
    lists: given.Lists


Words: TypeAlias = list[str]
"""A peer's command line."""


def measured(categories: int, peers: Sequence[str] = ()) -> list[PeerFigure]:
    """Let `peers` (all if none is named) work on a list of so many categories.

    Each peer's figures are told on standard error as soon as they are there.
    Raises RuntimeError if something that a peer needs is not installed, or if one does not end
    with the right result. Not to be called from within an event loop.
    """
    names = peers or list(PEERS)
    require(names)
    with tempfile.TemporaryDirectory(prefix="cpb-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        return asyncio.run(_measured(Path(folder), categories, names))


def table(figures: Sequence[PeerFigure]) -> str:
    """Return `figures` as a table in Markdown."""
    lines = [
        "| peer | work | out | seconds | a second | peak MB | version |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {each.peer} | {each.work} | {each.count:,} | {each.seconds:.2f}"
            f" | {f'{each.count / each.seconds:,.0f}' if each.count else '-'}"
            f" | {each.peak_mb:,.0f} | {each.version} |"
            for each in figures
        ),
    ]
    return "\n".join(lines)


def require(peers: Sequence[str] = ()) -> None:
    """Raise RuntimeError if something that `peers` (none: all) need is not installed."""
    names = peers or list(PEERS)
    if not PYTHON.exists():
        raise RuntimeError(f"the peers are not installed in {PYTHON.parents[1]}: make .venv/bench")
    if "debezium" in names and not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise RuntimeError(
            "Debezium's engine needs Java: install it (Debian: default-jre-headless), or measure "
            "the other peers alone (python -m bench.peers --only)"
        )


async def _measured(folder: Path, categories: int, peers: Sequence[str]) -> list[PeerFigure]:
    tree = generate(categories)
    lists = given.write(folder, tree)
    found: list[PeerFigure] = []
    async with server.running(folder) as url:
        for name in peers:
            told = await asyncio.to_thread(_work, name, Given(folder, url, tree, lists))
            print(*map(figure.line, told), sep="\n", file=sys.stderr, flush=True)
            found += told
    return found


def _work(name: str, work: Given) -> list[PeerFigure]:
    """Let one peer work, in an empty folder, on an empty server."""
    with redis.Redis.from_url(work.redis_url, socket_timeout=60) as client:
        client.flushall()
    own = Path(tempfile.mkdtemp(prefix="peer-", dir=work.folder))
    module, prepared = PEERS[name]
    with prepared(work._replace(folder=own)) as words:
        return _in_a_process(module, words, own)


def _in_a_process(module: str, words: Words, folder: Path) -> list[PeerFigure]:
    """Run a peer and return what it told; RuntimeError with its last words if it failed."""
    done = subprocess.run(
        [sys.executable if module in OURS else PYTHON, "-m", module, *words],
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=LIMIT_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(
            f"{module} ended with {done.returncode} (-14: it took too long): "
            f"{done.stdout}{done.stderr[-3000:]}"
        )
    return figure.read(done.stdout)


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment in which libraries find no settings of ours, and report to nobody."""
    kept = {name: os.environ[name] for name in ("PATH", "JAVA_HOME") if name in os.environ}
    own = {"HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return kept | own | {"RUNTIME__DLTHUB_TELEMETRY": "false"}


@contextmanager
def _polling(work: Given) -> Iterator[Words]:
    yield [work.redis_url, *map(str, work.lists)]


@contextmanager
def _dlt(work: Given) -> Iterator[Words]:
    yield [str(work.folder), *map(str, work.lists)]


@contextmanager
def _streamed(work: Given) -> Iterator[Words]:
    """Have our events of the first list in a stream: what a consumer works on."""
    events = given.events(work.tree, "us")
    with redis.Redis.from_url(work.redis_url, socket_timeout=60) as client:
        for begin in range(0, len(events), CHUNK):
            pipeline = client.pipeline(transaction=False)
            for event in events[begin : begin + CHUNK]:
                pipeline.xadd(STREAM, {"event": event})
            pipeline.execute()
    yield [work.redis_url, STREAM, str(len(events))]


@contextmanager
def _debezium(work: Given) -> Iterator[Words]:
    """Have PostgreSQL running, with the first list in a table."""
    folder = work.folder / "postgresql"
    folder.mkdir()
    work.folder.chmod(0o755)
    with LogicalPostgres(folder) as server:
        url = asyncio.run(_loaded(server, work.tree))
        yield [work.redis_url, url, *map(str, work.lists)]


class LogicalPostgres(Postgres):
    """PostgreSQL whose log can be followed, as Debezium has to."""

    def _command(self) -> Sequence[str]:
        return [*super()._command(), "-c", "wal_level=logical"]


async def _loaded(server: Postgres, tree: Sequence[Row]) -> str:
    """Return the URL of a database with `tree` in its table `categories`.

    REPLICA IDENTITY FULL, so that Debezium's events tell the row before as ours do.
    """
    url = await server.new()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "CREATE TABLE categories (id text PRIMARY KEY, parent_id text NOT NULL,"
            " local_name text NOT NULL, is_leaf boolean NOT NULL);"
            "ALTER TABLE categories REPLICA IDENTITY FULL"
        )
        await connection.copy_records_to_table("categories", records=tree)
    finally:
        await connection.close()
    return url


PEERS: dict[str, tuple[str, Callable[[Given], AbstractContextManager[Words]]]] = {
    "category-publisher": ("bench.peers.ours", _polling),
    "script": ("bench.peers.script", _polling),
    "dlt": ("bench.peers.dlt_scd2", _dlt),
    "debezium": ("bench.peers.debezium", _debezium),
    "category-consumer": ("bench.peers.ours_consumer", _streamed),
    "faststream": ("bench.peers.faststream_consumer", _streamed),
}
"""Name → module, and what prepares its work and gives its command line."""
