"""`category-publisher status` where something is wrong with Redis, or with what stands there."""

import json
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from tests.support.processes import PUBLISHER, call, start
from tests.support.redis_servers import Cluster, asked
from tests.support.trees import body, wide
from tests.support.valkey import Valkey
from tests.support.waiting import eventually_now

FINE = "everything is fine"


@pytest.fixture
def own(folder: Path) -> Iterator[Valkey]:
    """Give a server of the test's own, not started yet."""
    (folder / "server").mkdir()
    made = Valkey(folder / "server")
    yield made
    made.kill()


def configure(folder: Path, url: str, *names: str) -> None:
    """Write publisher.toml with catalogs `names` on the Redis at `url`."""
    sections = "".join(f'[catalogs.{each}]\nsource = "file"\nurl = "tree.json"\n' for each in names)
    (folder / "publisher.toml").write_text(f'redis_url = "{url}"\n{sections}')
    (folder / "tree.json").write_bytes(body(wide(3)))


@pytest.fixture
def keys(folder: Path, valkey: Valkey) -> Iterator[redis.Redis]:
    """Give the keys of catalogs `a`, `b` and `c`, polled once."""
    configure(folder, valkey.url, "a", "b", "c")
    with redis.Redis.from_url(valkey.url, protocol=2) as client:
        client.flushall()
        assert call(PUBLISHER, "sync", cwd=folder).returncode == 0
        yield client


def test_a_lost_key(folder: Path, keys: redis.Redis) -> None:
    """It is named, with what becomes of it; sync mends what it can."""
    assert call(PUBLISHER, "status", cwd=folder).returncode == 0
    keys.delete("catalog:{a}:categories", "catalog:{b}:events")
    done = call(PUBLISHER, "status", cwd=folder)
    assert done.returncode == 1
    assert "a: Redis key catalog:{a}:categories has 0 of 3 rows: the next poll" in done.stdout
    assert "b: Redis key catalog:{b}:events has lost its last event: " in done.stdout
    assert done.stdout.splitlines()[-1] == "2 problems"
    assert call(PUBLISHER, "sync", cwd=folder).returncode == 0
    told = json.loads(call(PUBLISHER, "status", "--json", cwd=folder).stdout)
    assert [each["catalog"] for each in told["catalogs"] if each["problems"]] == ["b"]


def test_the_set_of_catalogs_is_something_else(folder: Path, keys: redis.Redis) -> None:
    """It is named, by sync as well, and the configured catalogs are shown."""
    keys.delete("catalogs")
    keys.set("catalogs", "x")
    done = call(PUBLISHER, "status", "--json", cwd=folder)
    told = json.loads(done.stdout)
    assert (done.returncode, told["fine"], told["error"]) == (1, False, "")
    (problem,) = told["redis"]
    assert problem.startswith("Redis key catalogs is no set: something else writes there; ")
    assert [(each["rows"], each["problems"]) for each in told["catalogs"]] == [(3, [])] * 3
    shown = call(PUBLISHER, "status", cwd=folder)
    assert (shown.returncode, shown.stdout.splitlines()[-2:]) == (1, [problem, "1 problem"])
    assert "Redis key catalogs holds a string" in call(PUBLISHER, "sync", "a", cwd=folder).stderr


def test_a_user_who_may_not_read_all(folder: Path, keys: redis.Redis, valkey: Valkey) -> None:
    """What is refused is a problem of its catalog, and the others are shown."""
    rights = ("~catalogs", "~catalog:{a}:*", "~catalog:{b}:*", "+@all")
    asked(valkey, "ACL SETUSER", "half", "on", "nopass", *rights)
    url = valkey.tcp_url.replace("://", "://half:x@")
    done = call(PUBLISHER, "status", cwd=folder, CATEGORY_PUBLISHER_REDIS_URL=url)
    asked(valkey, "ACL DELUSER", "half")
    assert keys.exists("catalog:{c}:meta")
    assert done.returncode == 1
    assert "c: it cannot be read: Redis key catalog:{c}:meta: " in done.stdout
    assert "(let this user's ACL allow the command: see docs/security.md)" in done.stdout
    assert "unreadable" in done.stdout
    assert done.stdout.count("changed") == 2
    assert done.stdout.splitlines()[-1] == "1 problem"


def test_redis_is_away(folder: Path, own: Valkey) -> None:
    """One line says so, and JSON is written all the same."""
    configure(folder, own.url, "a")
    done = call(PUBLISHER, "status", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: Redis at {own.url}: ")
    as_json = call(PUBLISHER, "status", "--json", cwd=folder)
    assert (as_json.returncode, as_json.stderr) == (1, done.stderr)
    error = done.stderr.removeprefix("error: ").rstrip()
    assert json.loads(as_json.stdout) == {
        "fine": False, "error": error, "redis": [], "catalogs": [],
    }  # fmt: skip


def test_the_embedded_server_does_not_start(folder: Path) -> None:
    """That is told in JSON as well."""
    (folder / "data").write_text("no folder")
    done = call(PUBLISHER, "status", "--json", cwd=folder)
    assert done.returncode == 1
    assert done.stderr == f"error: {json.loads(done.stdout)['error']}\n"


def test_watch_waits_for_redis(folder: Path, own: Valkey) -> None:
    """It shows the error in place of the catalogs, and goes on."""
    configure(folder, own.url, "a")
    process = start(PUBLISHER, "status", "--watch", cwd=folder)
    try:
        assert process.stdout
        assert f"Redis at {own.url}: " in process.stdout.readline()
        own.start()
        eventually_now(lambda: "it was never polled" in next(iter(process.stdout or [])))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def test_redis_refuses_writes(folder: Path, own: Valkey) -> None:
    """Nobody can leave that in Redis, so status asks for it; the catalogs are shown."""
    own.start()
    configure(folder, own.url, "a")
    call(PUBLISHER, "sync", cwd=folder)
    asked(own, "CONFIG SET", "maxmemory", "1")
    assert call(PUBLISHER, "sync", cwd=folder).returncode == 1
    done = call(PUBLISHER, "status", cwd=folder)
    assert done.returncode == 1
    said = f"Redis at {own.url} refuses writes: its memory is full: "
    assert f"{said}raise maxmemory or make room\n1 problem\n" in done.stdout
    asked(own, "CONFIG SET", "maxmemory", "0")
    assert call(PUBLISHER, "status", cwd=folder).returncode == 0


@pytest.mark.slow
def test_a_cluster_that_lost_a_primary(folder: Path) -> None:
    """The catalogs of the others are shown, though the set of all catalogs is lost with it."""
    (folder / "nodes").mkdir()
    cluster = Cluster(folder / "nodes")
    try:
        cluster.start()
        for node in cluster.nodes:
            asked(node, "CONFIG SET", "cluster-require-full-coverage", "no")
        lost = cluster.owner(key_slot(b"catalogs"))
        names = [each for each in "abcdefgh" if cluster.owner(key_slot(each.encode())) is not lost]
        configure(folder, cluster.url, *names)
        assert call(PUBLISHER, "sync", cwd=folder).returncode == 0
        assert call(PUBLISHER, "status", cwd=folder).stdout.endswith(f"{FINE}\n")
        lost.kill()
        eventually_now(partial(sees_that_one_is_lost, cluster))
        done = call(PUBLISHER, "status", "--json", cwd=folder)
    finally:
        cluster.kill()
    assert done.returncode == 1
    told = json.loads(done.stdout)
    (problem,) = told["redis"]
    assert problem.startswith("Redis at redis-cluster://127.0.0.1:")
    assert [(each["catalog"], each["problems"]) for each in told["catalogs"]] == [
        (name, []) for name in names
    ]


def sees_that_one_is_lost(cluster: Cluster) -> bool:
    """Tell whether some node that runs has missed one for long enough."""
    nodes: Any = [asked(node, "CLUSTER NODES") for node in cluster.nodes if node.runs]
    return all("fail" in str(about).replace("fail?", "") for about in nodes)
