"""`category-publisher status` about catalogs, consumers and Redis itself."""

import json
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from tests.support.processes import PUBLISHER, call, replace, start
from tests.support.redis_servers import Cluster, execute_on
from tests.support.trees import body, wide
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually_now

FINE = "everything is fine"


@pytest.fixture
def own_valkey(folder: Path) -> Iterator[Valkey]:
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
    """Give a client of the server after a first poll of catalogs `a`, `b` and `c`."""
    configure(folder, valkey.url, "a", "b", "c")
    with redis.Redis.from_url(valkey.url, protocol=2) as client:
        client.flushall()
        assert call(PUBLISHER, "sync", cwd=folder).returncode == 0
        yield client


def test_a_lost_key(folder: Path, keys: redis.Redis) -> None:
    """The problem names it, with what will happen; sync repairs what it can."""
    assert call(PUBLISHER, "status", cwd=folder).returncode == 0
    keys.delete("catalog:{a}:categories", "catalog:{b}:events")
    done = call(PUBLISHER, "status", cwd=folder)
    assert done.returncode == 1
    assert "a: Redis key catalog:{a}:categories has 0 of 3 rows: the next poll" in done.stdout
    assert "b: Redis key catalog:{b}:events has lost its last event: " in done.stdout
    assert done.stdout.splitlines()[-1] == "2 problems"
    assert call(PUBLISHER, "sync", cwd=folder).returncode == 0
    report = json.loads(call(PUBLISHER, "status", "--json", cwd=folder).stdout)
    assert [each["catalog"] for each in report["catalogs"] if each["problems"]] == ["b"]


def test_the_set_of_catalogs_has_another_type(folder: Path, keys: redis.Redis) -> None:
    """The problem names it, sync too, and the configured catalogs are shown."""
    keys.delete("catalogs")
    keys.set("catalogs", "x")
    done = call(PUBLISHER, "status", "--json", cwd=folder)
    report = json.loads(done.stdout)
    assert (done.returncode, report["fine"], report["error"]) == (1, False, "")
    (problem,) = report["redis"]
    assert problem.startswith("Redis key catalogs is not a set: something else writes there; ")
    assert [(each["rows"], each["problems"]) for each in report["catalogs"]] == [(3, [])] * 3
    shown = call(PUBLISHER, "status", cwd=folder)
    assert (shown.returncode, shown.stdout.splitlines()[-2:]) == (1, [problem, "1 problem"])
    assert "Redis key catalogs holds a string" in call(PUBLISHER, "sync", "a", cwd=folder).stderr


def test_a_user_that_may_not_read_all(folder: Path, keys: redis.Redis, valkey: Valkey) -> None:
    """What may not be read is a problem of its catalog, and the others are shown."""
    rights = ("~catalogs", "~catalog:{a}:*", "~catalog:{b}:*", "+@all")
    execute_on(valkey, "ACL SETUSER", "half", "on", "nopass", *rights)
    url = valkey.tcp_url.replace("://", "://half:x@")
    done = call(PUBLISHER, "status", cwd=folder, CATEGORY_PUBLISHER_REDIS_URL=url)
    execute_on(valkey, "ACL DELUSER", "half")
    assert keys.exists("catalog:{c}:meta")
    assert done.returncode == 1
    assert "c: the catalog cannot be read: Redis key catalog:{c}:meta: " in done.stdout
    assert "(let this user's ACL allow the command: see docs/security.md)" in done.stdout
    assert "unreadable" in done.stdout
    assert done.stdout.count("changed") == 2
    assert done.stdout.splitlines()[-1] == "1 problem"


def test_redis_is_unreachable(folder: Path, own_valkey: Valkey) -> None:
    """One line on standard error has the cause; JSON is printed as well."""
    configure(folder, own_valkey.url, "a")
    done = call(PUBLISHER, "status", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: Redis at {own_valkey.url}: ")
    as_json = call(PUBLISHER, "status", "--json", cwd=folder)
    assert (as_json.returncode, as_json.stderr) == (1, done.stderr)
    error = done.stderr.removeprefix("error: ").rstrip()
    assert json.loads(as_json.stdout) == {
        "fine": False, "error": error, "redis": [], "catalogs": [],
    }  # fmt: skip


def test_the_embedded_server_does_not_start(folder: Path) -> None:
    """The JSON has the error too."""
    (folder / "data").write_text("no folder")
    done = call(PUBLISHER, "status", "--json", cwd=folder)
    assert done.returncode == 1
    assert done.stderr == f"error: {json.loads(done.stdout)['error']}\n"


def test_watch_waits_for_redis(folder: Path, own_valkey: Valkey) -> None:
    """It shows the error in place of the catalogs, and continues."""
    configure(folder, own_valkey.url, "a")
    process = start(PUBLISHER, "status", "--watch", cwd=folder)
    try:
        assert process.stdout
        assert f"Redis at {own_valkey.url}: " in process.stdout.readline()
        own_valkey.start()
        eventually_now(lambda: "the catalog was never polled" in next(iter(process.stdout or [])))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()


def test_redis_refuses_writes(folder: Path, own_valkey: Valkey) -> None:
    """It cannot be read from any key, so status asks for it; the catalogs are shown."""
    own_valkey.start()
    configure(folder, own_valkey.url, "a")
    call(PUBLISHER, "sync", cwd=folder)
    execute_on(own_valkey, "CONFIG SET", "maxmemory", "1")
    assert call(PUBLISHER, "sync", cwd=folder).returncode == 1
    done = call(PUBLISHER, "status", cwd=folder)
    assert done.returncode == 1
    problem = f"Redis at {own_valkey.url} refuses writes: its memory is full: "
    assert f"{problem}raise maxmemory or make room\n1 problem\n" in done.stdout
    execute_on(own_valkey, "CONFIG SET", "maxmemory", "0")
    assert call(PUBLISHER, "status", cwd=folder).returncode == 0


@pytest.mark.contract("7")
def test_exit_codes(workdir: Path) -> None:
    """0 if all is fine, 3 if a snapshot is held, 1 if something else is wrong."""
    never = call(PUBLISHER, "status", cwd=workdir)
    assert never.returncode == 1
    assert "us: the catalog was never polled" in never.stdout
    assert call(PUBLISHER, "sync", cwd=workdir).returncode == 0
    fine = call(PUBLISHER, "status", cwd=workdir)
    assert (fine.returncode, fine.stdout.splitlines()[-1]) == (0, FINE)
    report = json.loads(call(PUBLISHER, "status", "--json", cwd=workdir).stdout)
    assert report["fine"] is True
    assert report["catalogs"][0]["problems"] == []
    replace(workdir / "us.json", body(wide(100)))
    call(PUBLISHER, "sync", "us", cwd=workdir)
    replace(workdir / "us.json", body(wide(50)))
    assert call(PUBLISHER, "sync", "us", cwd=workdir).returncode == 3
    assert call(PUBLISHER, "status", cwd=workdir).returncode == 3
    replace(workdir / "us.json", b"[]")
    assert call(PUBLISHER, "sync", "us", cwd=workdir).returncode == 1
    failed = call(PUBLISHER, "status", "--json", cwd=workdir)
    assert failed.returncode == 1
    us = next(each for each in json.loads(failed.stdout)["catalogs"] if each["catalog"] == "us")
    assert "the list of categories is empty" in us["problems"][0]


@pytest.mark.contract("7")
def test_watch_and_json_exclude_each_other(workdir: Path) -> None:
    """`status` exits with 2."""
    assert call(PUBLISHER, "status", "--watch", "--json", cwd=workdir).returncode == 2


@pytest.mark.contract("2")
def test_consumers_that_are_behind(folder: Path, keys: redis.Redis) -> None:
    """It shows by how many events and for how long; after minutes that is a problem."""
    meta: Any = keys.hgetall("catalog:{a}:meta")
    checkpoint = {"sequence": 1, "offset": "1-1"}
    checkpoint |= {field: meta[field.encode()].decode() for field in ("epoch", "digest")}
    keys.hset("catalog:{a}:consumers", "search", json.dumps(checkpoint))
    keys.hset("catalog:{a}:consumers", "\x1b[2J", "no JSON")
    shown = call(PUBLISHER, "status", cwd=folder).stdout
    assert "search: 2 events (" in shown
    assert "\\x1b[2J: in another epoch, or unreadable" in shown
    keys.delete("catalog:{a}:events")
    keys.xadd("catalog:{a}:events", {"event": "{}"}, id="1000-1")
    late = call(PUBLISHER, "status", cwd=folder)
    assert late.returncode == 1
    assert "consumer search has been 2 events behind for " in late.stdout


def test_watch_continues_until_stopped(folder: Path, keys: redis.Redis) -> None:
    """Also where its output is not a terminal; SIGTERM stops it with exit code 0."""
    assert keys.exists("catalogs")
    process = start(PUBLISHER, "status", "--watch", cwd=folder)
    assert process.stdout is not None
    assert "catalog" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


@pytest.mark.contract("7")
@pytest.mark.parametrize(
    ("configured", "codes"), [(["a", "d"], [1, 1]), (["a"], [0, 0]), ([], [1, 0]), (["b"], [1, 0])]
)
def test_catalogs_of_other_publishers(
    folder: Path, keys: redis.Redis, valkey: Valkey, configured: list[str], codes: list[int]
) -> None:
    """All are shown, but only those configured here have to be polled in time.

    Without any configured catalog all of them have to be.
    """
    names = sorted({"a", "b", "c", *configured})
    configure(folder, valkey.url, *configured)
    for due, code in zip(
        ("2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"), codes, strict=True
    ):
        keys.hset("catalog:{b}:status", "next_poll_at", due)
        done = call(PUBLISHER, "status", "--json", cwd=folder)
        report = json.loads(done.stdout)
        assert [each["catalog"] for each in report["catalogs"]] == names
        assert (done.returncode, report["fine"]) == (code, code == 0)


def test_the_names_may_not_be_read(folder: Path, keys: redis.Redis, valkey: Valkey) -> None:
    """The exit code is 1, and one line says so; nothing is shown as if it were all."""
    keys.acl_setuser(
        "narrow", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-smembers"]
    )
    url = f"redis://narrow:x@127.0.0.1:{valkey.port}/0"
    try:
        done = call(PUBLISHER, "status", cwd=folder, CATEGORY_PUBLISHER_REDIS_URL=url)
    finally:
        keys.acl_deluser("narrow")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"error: Redis at redis://127.0.0.1:{valkey.port}/0: ")


@pytest.mark.parametrize(("height", "shown"), [(5, ["c", "a"]), (1, ["c"])])
def test_watch_shows_what_fits(
    folder: Path, keys: redis.Redis, height: int, shown: list[str]
) -> None:
    """Half of the lines are for catalogs; those with problems come first."""
    keys.delete("catalog:{c}:categories")
    process = start(PUBLISHER, "status", "--watch", cwd=folder, LINES=str(height))
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(len(shown) + 4)]
    finally:
        process.kill()
        process.communicate()
    assert [line.split()[0] for line in lines[1 : len(shown) + 1]] == shown
    assert lines[len(shown) + 1] == f"… and {3 - len(shown)} more\n"
    assert lines[len(shown) + 2].startswith("c: Redis key catalog:{c}:categories has 0 of 3 rows")
    assert lines[len(shown) + 3] == "1 problem\n"


@pytest.mark.slow
def test_a_cluster_without_one_primary(folder: Path) -> None:
    """Catalogs on other nodes are shown, although the set of names is lost."""
    (folder / "nodes").mkdir()
    cluster = Cluster(folder / "nodes")
    try:
        cluster.start()
        for node in cluster.nodes:
            execute_on(node, "CONFIG SET", "cluster-require-full-coverage", "no")
        lost = cluster.owner(key_slot(b"catalogs"))
        names = [each for each in "abcdefgh" if cluster.owner(key_slot(each.encode())) is not lost]
        configure(folder, cluster.url, *names)
        assert call(PUBLISHER, "sync", cwd=folder).returncode == 0
        assert call(PUBLISHER, "status", cwd=folder).stdout.endswith(f"{FINE}\n")
        lost.kill()
        eventually_now(partial(all_nodes_know_the_loss, cluster))
        done = call(PUBLISHER, "status", "--json", cwd=folder)
    finally:
        cluster.kill()
    assert done.returncode == 1
    report = json.loads(done.stdout)
    (problem,) = report["redis"]
    assert problem.startswith("Redis at redis-cluster://127.0.0.1:")
    assert [(each["catalog"], each["problems"]) for each in report["catalogs"]] == [
        (name, []) for name in names
    ]


def all_nodes_know_the_loss(cluster: Cluster) -> bool:
    """Return whether all running nodes agree that one has failed."""
    nodes: Any = [execute_on(node, "CLUSTER NODES") for node in cluster.nodes if node.runs]
    return all("fail" in str(about).replace("fail?", "") for about in nodes)
