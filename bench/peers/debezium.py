"""Debezium's engine (pydbzengine), from PostgreSQL into a stream of our server.

Its settings are the defaults except JSON without schemas and deletions without tombstones. The
handler appends each batch in one pipeline. First list: from the start of the engine (Java runs
already) until the snapshot of the table is in the stream. 1 % changed: from the start of the
transaction in PostgreSQL until all its changes are in the stream. Debezium cannot poll a shop: the
program that would write a list into PostgreSQL, and find the changes, is not in these figures.

    python -m bench.peers.debezium URL POSTGRESQL FIRST CHANGED
"""

import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import psycopg
import redis
from pydbzengine import DebeziumJsonEngine

from bench.peers.lists import Differences, check_equal, differences, parse
from bench.peers.meter import Meter

STREAM = "debezium:changes"
POLL_SECONDS = 0.1
LOGGING = """\
appender.stderr.type=Console
appender.stderr.name=stderr
appender.stderr.target=SYSTEM_ERR
appender.stderr.layout.type=PatternLayout
appender.stderr.layout.pattern=[%level] %c{1} - %m%n
rootLogger.level=WARN
rootLogger.appenderRef.stderr.ref=stderr
"""
"""For Java: pydbzengine's own configuration logs to standard output, and into a new folder."""


def main() -> None:
    """Run both works."""
    url, source = sys.argv[1:3]
    count, changes = read_input(*map(Path, sys.argv[3:5]))
    with redis.Redis.from_url(url) as client:
        handler = Handler(client)
        engine = DebeziumJsonEngine(properties(source), handler, jvm_opts=logging_options())
        runner = Runner(engine, handler)
        meter = Meter("Debezium", ("pydbzengine",), java_version(engine))
        with meter.measure():
            runner.start()
            runner.wait_for(count)
        check_equal(operations(client), {"r": count}, "events, first list")
        meter.print_figure("first list", count)
        wait_until_streaming(source)
        with meter.measure():
            change(source, changes)
            runner.wait_for(changes.total)
        check_equal(operations(client), expected_operations(changes), "events, 1 % changed")
        meter.print_figure("1 % changed", changes.total)
        runner.stop()


def read_input(first: Path, changed: Path) -> tuple[int, Differences]:
    """Return the size of the first list, and the changes; no list stays in memory."""
    old, new = parse(first.read_bytes()), parse(changed.read_bytes())
    return len(old), differences(old, new)


class Handler:
    """Appends Debezium's events to the stream, and lets another thread wait for them."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.arrived = 0
        self.changed = threading.Condition()

    def handleJsonBatch(self, records: Any) -> None:  # noqa: N802  Debezium's name
        """Append a batch to the stream."""
        pipeline = self._client.pipeline(transaction=False)
        for record in records:
            pipeline.xadd(STREAM, {"event": str(record.value())})
        replies = pipeline.execute()
        with self.changed:
            self.arrived += len(replies)
            self.changed.notify_all()


class Runner:
    """Runs the engine in a thread of its own until it is stopped."""

    def __init__(self, engine: Any, handler: Handler) -> None:
        self._engine = engine
        self._handler = handler
        self._thread = threading.Thread(target=engine.run, daemon=True)

    def start(self) -> None:
        """Start the engine."""
        self._thread.start()

    def wait_for(self, count: int) -> None:
        """Wait for `count` more events. Raises RuntimeError if the engine has ended."""
        handler = self._handler
        with handler.changed:
            while handler.arrived < count:
                if not self._thread.is_alive():
                    raise RuntimeError("Debezium's engine has ended: see its output above")
                handler.changed.wait(POLL_SECONDS)
            handler.arrived -= count

    def stop(self) -> None:
        """Stop the engine."""
        self._engine.close()
        self._thread.join()


def properties(source: str) -> dict[str, str]:
    """Return the settings of an engine that reads the table `categories`."""
    parts = urlsplit(source)
    return {
        "name": "peer",
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": str(parts.hostname),
        "database.port": str(parts.port),
        "database.user": str(parts.username),
        "database.password": "",
        "database.dbname": parts.path.removeprefix("/"),
        "table.include.list": "public.categories",
        "plugin.name": "pgoutput",
        "publication.autocreate.mode": "filtered",
        "topic.prefix": "peer",
        "snapshot.mode": "initial",
        "tombstones.on.delete": "false",
        "key.converter.schemas.enable": "false",
        "value.converter.schemas.enable": "false",
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": "offsets.dat",
    }


def logging_options() -> list[str]:
    """Return options with which Java logs warnings to standard error."""
    path = Path("log4j2.properties").absolute()
    path.write_text(LOGGING, "utf-8")
    return [f"-Dlog4j2.configurationFile={path}"]


def java_version(engine: Any) -> str:
    """Start Java, and return its version."""
    engine._ensure_jvm_started()  # noqa: SLF001  otherwise its start would be measured
    import jpype  # noqa: PLC0415  needs a running Java

    return f"Java {jpype.JClass('java.lang.System').getProperty('java.version')}"


def wait_until_streaming(source: str) -> None:
    """Wait until the engine reads PostgreSQL's log, shortly after the snapshot."""
    with psycopg.connect(source, autocommit=True) as connection:
        while not connection.execute(
            "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"
        ).fetchone():
            time.sleep(POLL_SECONDS)


def change(source: str, changes: Differences) -> None:
    """Apply `changes` in one transaction."""
    with psycopg.connect(source) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE categories SET parent_id = %(parent_id)s, local_name = %(local_name)s,"
            " is_leaf = %(is_leaf)s WHERE id = %(id)s",
            changes.updated,
        )
        cursor.executemany(
            "INSERT INTO categories VALUES (%(id)s, %(parent_id)s, %(local_name)s, %(is_leaf)s)",
            changes.added,
        )
        cursor.executemany("DELETE FROM categories WHERE id = %(id)s", changes.removed)


def expected_operations(changes: Differences) -> dict[str, int]:
    """Return the expected number of events of each of Debezium's operations."""
    counts = {"u": changes.updated, "c": changes.added, "d": changes.removed}
    return {name: len(rows) for name, rows in counts.items() if rows}


def operations(client: redis.Redis) -> dict[str, int]:
    """Return the number of events of each operation in the stream, and empty it."""
    entries: Any = client.xrange(STREAM)
    client.delete(STREAM)
    return dict(Counter(orjson.loads(fields[b"event"])["op"] for _, fields in entries))


if __name__ == "__main__":
    main()
