"""`category-publisher diff`."""

import json
from pathlib import Path

import pytest
import redis

from tests.support.processes import PUBLISHER, call
from tests.support.trees import body, tree, wide
from tests.support.valkey import Valkey


@pytest.mark.contract("7")
def test_it_shows_changes_and_writes_no_key(workdir: Path, keys: redis.Redis) -> None:
    """Names are escaped, and Redis stays empty."""
    done = call(PUBLISHER, "diff", "us", cwd=workdir)
    assert done.returncode == 0
    assert "+ 2          Käse & <b>\\n" in done.stdout
    assert keys.keys("*") == []
    assert done.stdout.splitlines()[-1] == "us: 2 added, 0 updated, 0 removed"
    lines = call(PUBLISHER, "diff", "us", "--json", cwd=workdir).stdout.splitlines()
    home = {"id": "1", "parent_id": "0", "local_name": "Home", "is_leaf": False}
    cheese = {"id": "2", "parent_id": "1", "local_name": "Käse & <b>\n", "is_leaf": True}
    assert [json.loads(line) for line in lines] == [
        {"type": "category.added", "data": {"category": each}} for each in (home, cheese)
    ]


@pytest.mark.contract("7")
def test_a_snapshot_that_would_be_held(workdir: Path, keys: redis.Redis) -> None:
    """The exit code is 3, standard error has the reason, and nothing is written."""
    (workdir / "us.json").write_bytes(body(wide(100)))
    call(PUBLISHER, "sync", "us", cwd=workdir)
    before = keys.hgetall("catalog:{us}:status")
    (workdir / "us.json").write_bytes(body(wide(40)))
    done = call(PUBLISHER, "diff", "us", cwd=workdir)
    *changes, more, counts = done.stdout.splitlines()
    assert len(changes) == 50
    assert (more, counts) == ("… and 10 more", "us: 0 added, 0 updated, 60 removed")
    reason = "60 of 100 categories removed: more than 0.1 of them and more than 20"
    assert (done.returncode, done.stderr) == (3, f"us: would be held: {reason}\n")
    as_json = call(PUBLISHER, "diff", "us", "--json", cwd=workdir)
    assert (as_json.returncode, as_json.stderr) == (3, done.stderr)
    assert len(as_json.stdout.splitlines()) == 60
    assert keys.hgetall("catalog:{us}:status") == before
    assert keys.exists("catalog:{us}:hold") == 0


@pytest.mark.contract("5.11")
def test_a_changed_origin(workdir: Path) -> None:
    """It is compared only if it is accepted; a long name stays on one line."""
    name = "x" * 300
    (workdir / "us.json").write_bytes(body(tree(("1", "0", name, True))))
    call(PUBLISHER, "sync", "us", cwd=workdir)
    config = workdir / "publisher.toml"
    config.write_text(
        config.read_text().replace("[catalogs.us]", '[catalogs.us]\nlocale = "de-DE"')
    )
    (workdir / "us.json").write_bytes(body(tree(("1", "0", "y", True))))
    refused = call(PUBLISHER, "diff", "us", cwd=workdir)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: catalog us: its origin has changed (locale was None")
    accepted = call(PUBLISHER, "diff", "us", "--accept-origin", cwd=workdir)
    assert (accepted.returncode, accepted.stderr) == (0, "")
    assert accepted.stdout.splitlines() == [
        f"~ 1          y  local_name was {name}",
        "us: 0 added, 1 updated, 0 removed",
    ]


@pytest.mark.contract("7")
@pytest.mark.parametrize("command", ["diff", "export"])
def test_redis_does_not_answer(workdir: Path, command: str) -> None:
    """The exit code is 1, and one line says which server, and what to check."""
    url = "redis://127.0.0.1:1/0"
    done = call(PUBLISHER, command, "us", cwd=workdir, CATEGORY_PUBLISHER_REDIS_URL=url)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"error: Redis at {url}: ")


@pytest.mark.contract("7")
def test_a_key_of_another_type(workdir: Path, keys: redis.Redis) -> None:
    """The exit code is 1, and one line names the key."""
    keys.set("catalog:{us}:categories", "a text")
    done = call(PUBLISHER, "diff", "us", cwd=workdir)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: Redis key catalog:{us}:categories holds a string where")


@pytest.mark.parametrize("command", ["diff", "export"])
def test_redis_refuses_a_command(
    workdir: Path, keys: redis.Redis, valkey: Valkey, command: str
) -> None:
    """The exit code is 1, and one line says what the user may not do."""
    refused = ["-hgetall", "-hmget"]
    keys.acl_setuser("narrow", enabled=True, nopass=True, keys=["*"], commands=["+@all", *refused])
    url = f"redis://narrow:x@127.0.0.1:{valkey.port}/0"
    try:
        done = call(PUBLISHER, command, "us", cwd=workdir, CATEGORY_PUBLISHER_REDIS_URL=url)
    finally:
        keys.acl_deluser("narrow")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"error: Redis at redis://127.0.0.1:{valkey.port}/0: ")
    assert "permission" in done.stderr
