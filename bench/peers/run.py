"""Runs the peers one after another, with the same input and embedded server.

It runs in the main environment, as our own processes do; the peers' run in `.venv/bench`. Nothing
leaves this machine: all connections are Unix sockets or loopback.
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
from bench.peers import figure, input_files
from bench.peers.figure import PeerFigure
from publisher.sandbox.synthetic import generate
from publisher.sandbox.tree import Row
from tests.support.databases import Postgres

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "bench" / "bin" / "python"
OURS = ("bench.peers.ours", "bench.peers.ours_consumer")
LIMIT_SECONDS = 620
"""A peer ends itself earlier (meter.LIMIT_SECONDS)."""
STREAM = "catalog:{us}:events"
CHUNK = 1000
"""Events of one pipeline."""


class PeerInput(NamedTuple):
    """The input of a peer."""

    folder: Path
    redis_url: str
    tree: Sequence[Row]
    lists: input_files.Lists


Arguments: TypeAlias = list[str]
"""The arguments of a peer's command line."""


def measure_peers(categories: int, peers: Sequence[str] = ()) -> list[PeerFigure]:
    """Run `peers` (without any: all) on a list of `categories`; return their figures.

    Each peer's figures are printed on standard error as soon as they are known. Raises RuntimeError
    if something that a peer needs is not installed, or if a peer fails. Do not call it in an event
    loop.
    """
    names = peers or list(PEERS)
    require(names)
    with tempfile.TemporaryDirectory(prefix="cpb-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        return asyncio.run(_measure(Path(folder), categories, names))


def table(figures: Sequence[PeerFigure]) -> str:
    """Return `figures` as a table in Markdown."""
    lines = [
        "| peer | work | results | seconds | per second | peak MB | version |",
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
    """Raise RuntimeError if a requirement of `peers` (default: all) is missing."""
    names = peers or list(PEERS)
    if not PYTHON.exists():
        raise RuntimeError(f"the peers are not installed in {PYTHON.parents[1]}: make .venv/bench")
    if "debezium" in names and not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise RuntimeError(
            "Debezium's engine needs Java: install it (Debian: default-jre-headless), or measure "
            "the other peers alone (python -m bench.peers --only)"
        )


async def _measure(folder: Path, categories: int, peers: Sequence[str]) -> list[PeerFigure]:
    tree = generate(categories)
    lists = input_files.write(folder, tree)
    figures: list[PeerFigure] = []
    async with server.running(folder) as url:
        for name in peers:
            peer_figures = await asyncio.to_thread(
                _run_peer, name, PeerInput(folder, url, tree, lists)
            )
            print(*map(figure.line, peer_figures), sep="\n", file=sys.stderr, flush=True)
            figures += peer_figures
    return figures


def _run_peer(name: str, work: PeerInput) -> list[PeerFigure]:
    """Run one peer in an empty folder, with an empty server."""
    with redis.Redis.from_url(work.redis_url, socket_timeout=60) as client:
        client.flushall()
    own = Path(tempfile.mkdtemp(prefix="peer-", dir=work.folder))
    module, prepare = PEERS[name]
    with prepare(work._replace(folder=own)) as arguments:
        return _run_process(module, arguments, own)


def _run_process(module: str, arguments: Arguments, folder: Path) -> list[PeerFigure]:
    """Run a peer's process; return its figures.

    Raises RuntimeError with its output if it fails.
    """
    done = subprocess.run(
        [sys.executable if module in OURS else PYTHON, "-m", module, *arguments],
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
    """Return an environment without settings of ours and without usage reports."""
    inherited = {name: os.environ[name] for name in ("PATH", "JAVA_HOME") if name in os.environ}
    own = {"HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return inherited | own | {"RUNTIME__DLTHUB_TELEMETRY": "false"}


@contextmanager
def _publisher_input(work: PeerInput) -> Iterator[Arguments]:
    yield [work.redis_url, *map(str, work.lists)]


@contextmanager
def _dlt_input(work: PeerInput) -> Iterator[Arguments]:
    yield [str(work.folder), *map(str, work.lists)]


@contextmanager
def _consumer_input(work: PeerInput) -> Iterator[Arguments]:
    """Write our events of the first list into a stream, for a consumer."""
    events = input_files.events(work.tree, "us")
    with redis.Redis.from_url(work.redis_url, socket_timeout=60) as client:
        for start in range(0, len(events), CHUNK):
            pipeline = client.pipeline(transaction=False)
            for event in events[start : start + CHUNK]:
                pipeline.xadd(STREAM, {"event": event})
            pipeline.execute()
    yield [work.redis_url, STREAM, str(len(events))]


@contextmanager
def _debezium_input(work: PeerInput) -> Iterator[Arguments]:
    """Run PostgreSQL with the first list in a table."""
    folder = work.folder / "postgresql"
    folder.mkdir()
    work.folder.chmod(0o755)
    with LogicalPostgres(folder) as server:
        url = asyncio.run(_load(server, work.tree))
        yield [work.redis_url, url, *map(str, work.lists)]


class LogicalPostgres(Postgres):
    """PostgreSQL with a log that Debezium can read."""

    def _command(self) -> Sequence[str]:
        return [*super()._command(), "-c", "wal_level=logical"]


async def _load(server: Postgres, tree: Sequence[Row]) -> str:
    """Return the URL of a database with `tree` in its table `categories`.

    REPLICA IDENTITY FULL, so that Debezium's events have the previous row, as ours do.
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


PEERS: dict[str, tuple[str, Callable[[PeerInput], AbstractContextManager[Arguments]]]] = {
    "category-publisher": ("bench.peers.ours", _publisher_input),
    "script": ("bench.peers.script", _publisher_input),
    "dlt": ("bench.peers.dlt_scd2", _dlt_input),
    "debezium": ("bench.peers.debezium", _debezium_input),
    "category-consumer": ("bench.peers.ours_consumer", _consumer_input),
    "faststream": ("bench.peers.faststream_consumer", _consumer_input),
}
"""By name: the module, and the function that prepares its input and yields its arguments."""
