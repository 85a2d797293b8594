"""`category-publisher run`, alone and beside other publishers."""

import os
import signal
from pathlib import Path

import orjson
import pytest
import redis

from tests.publisher.running import (
    configure,
    lease_owners,
    pid_of,
    polled_at,
    running_publisher,
    stop,
)
from tests.support.processes import PUBLISHER, replace, start
from tests.support.trees import body, wide
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually_now


@pytest.fixture
def four_catalogs(folder: Path, valkey: Valkey) -> Path:
    """Give a folder that configures catalogs `a` to `d`, polled hourly."""
    (folder / "tree.json").write_bytes(body(wide(3)))
    configure(folder, valkey, ["a", "b", "c", "d"])
    return folder


@pytest.mark.contract("7")
def test_it_publishes_until_stopped(workdir: Path, keys: redis.Redis) -> None:
    """The daemon follows the file, survives bad content, and exits with 0 on SIGTERM."""
    process = start(PUBLISHER, "run", cwd=workdir, CATEGORY_PUBLISHER_LOG_FORMAT="json")
    eventually_now(lambda: keys.hget("catalog:{us}:meta", "count") == "2")
    replace(workdir / "us.json", b"{")
    eventually_now(lambda: keys.hget("catalog:{us}:status", "outcome") == "failed")
    replace(workdir / "us.json", body(wide(10)))
    eventually_now(lambda: keys.hget("catalog:{us}:meta", "count") == "10")
    eventually_now(lambda: keys.hget("catalog:{us}:status", "outcome") == "unchanged")
    process.send_signal(signal.SIGTERM)
    _, logs = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    events = [orjson.loads(line) for line in logs.splitlines()]
    failures = [each for each in events if each["event"] == "poll failed"]
    assert len(failures) == 1
    assert failures[0]["catalog"] == "us"
    assert [each["event"] for each in events].count("poll recovered") == 1


def test_a_killed_publishers_catalogs_are_taken_over(
    four_catalogs: Path, keys: redis.Redis
) -> None:
    """Two publishers share evenly; after a kill the other one has all."""
    with running_publisher(four_catalogs) as one, running_publisher(four_catalogs) as other:
        eventually_now(lambda: all(polled_at(keys, name) for name in "abcd"))
        eventually_now(lambda: len(set(lease_owners(keys))) == 2 and all(lease_owners(keys)))
        eventually_now(
            lambda: sorted(map(lease_owners(keys).count, set(lease_owners(keys)))) == [2, 2]
        )
        one.kill()
        one.wait()
        eventually_now(lambda: set(map(pid_of, lease_owners(keys))) == {other.pid})
        names = [each["event"] for each in stop(other)]
        assert "poll failed" not in names
    assert lease_owners(keys) == [None] * 4


def test_a_publisher_that_was_paused_polls_nothing_at_first(
    four_catalogs: Path, keys: redis.Redis
) -> None:
    """Others have its leases by then; so it reads the leases before it polls."""
    with running_publisher(four_catalogs) as paused:
        eventually_now(lambda: all(polled_at(keys, name) for name in "abcd"))
        os.kill(paused.pid, signal.SIGSTOP)
        with running_publisher(four_catalogs) as other:
            eventually_now(lambda: set(map(pid_of, lease_owners(keys))) == {other.pid})
            os.kill(paused.pid, signal.SIGCONT)
            eventually_now(lambda: set(map(pid_of, lease_owners(keys))) == {other.pid, paused.pid})
            assert [each for each in stop(paused) if each["event"] == "poll failed"] == []
            stop(other)
