"""Publishers as processes, and what they leave in Redis and in the log."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from tests.support.processes import PUBLISHER, replace, start
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE

QUIET = {"CATEGORY_PUBLISHER_LOG_FORMAT": "json", "CATEGORY_PUBLISHER_HTTP_LISTEN": "off"}


def configure(folder: Path, valkey: Valkey, names: list[str], more: str = "") -> None:
    """Write publisher.toml with settings `more` and catalogs from tree.json."""
    sections = (f'[catalogs.{name}]\nsource = "file"\nurl = "tree.json"\n' for name in names)
    text = f'redis_url = "{valkey.url}"\nlease = "3s"\n{more}\n' + "".join(sections)
    replace(folder / "publisher.toml", text.encode())


@contextmanager
def running_publisher(workdir: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run a publisher; kill it at the end if the test has not stopped it."""
    process = start(PUBLISHER, "run", cwd=workdir, **(QUIET | variables))
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def stop(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Stop a publisher with SIGTERM, check that it exits with 0, and return its log."""
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, log
    return [json.loads(line) for line in log.splitlines()]


def connect(server: Valkey) -> redis.Redis:
    """Return a client that knows the contract alone."""
    return redis.Redis.from_url(server.url, protocol=2, decode_responses=True)


def polled_at(keys: redis.Redis, name: str) -> Any:
    """Return the time of the last poll of catalog `name`."""
    return keys.hget(f"catalog:{{{name}}}:status", "polled_at")


def lease_owners(keys: redis.Redis, names: str = "abcd") -> list[Any]:
    """Return the owners of the leases of the catalogs `names`, a letter each."""
    return [keys.get(f"catalog:{{{name}}}:lease") for name in names]


def pid_of(owner: str | None) -> int | None:
    """Return the process id in a lease's owner."""
    return int(owner.rsplit(":", 3)[1]) if owner else None
