"""`category-publisher sync`: exit codes, output, and what it writes to Redis."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from plumbing.clock import rfc3339
from tests.support.processes import PUBLISHER, call
from tests.support.trees import body, wide
from tests.support.valkey import Valkey


@pytest.mark.contract("7")
def test_changed_and_unchanged(workdir: Path) -> None:
    """It publishes what is new and exits with 0; if nothing has changed, with 0 too."""
    first = call(PUBLISHER, "sync", cwd=workdir)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines() == [
        "uk-en: 2 added, 0 updated, 0 removed (sequence 2)",
        "us: 2 added, 0 updated, 0 removed (sequence 2)",
    ]
    again = call(PUBLISHER, "sync", "us", cwd=workdir)
    assert again.stdout == "us: unchanged (sequence 2)\n"


@pytest.mark.contract("2")
def test_status_and_names_are_written(workdir: Path, keys: redis.Redis) -> None:
    """The status hash has all fields of the contract, and the set has all names."""
    for _ in range(2):
        call(PUBLISHER, "sync", cwd=workdir)
    status: Any = keys.hgetall("catalog:{us}:status")
    assert status["outcome"] == "unchanged"
    assert set(status) == {
        *("polled_at", "outcome", "error", "duration_ms", "next_poll_at", "succeeded_at"),
        *("added", "updated", "removed"),
    }
    assert keys.smembers("catalogs") == {"us", "uk-en"}


@pytest.mark.contract("2")
def test_the_whole_status_of_each_outcome(workdir: Path, keys: redis.Redis) -> None:
    """The next poll is due an interval after this one, whatever its outcome."""
    success = ""
    file = workdir / "us.json"
    for content, outcome, counts in (
        (b"[]", "failed", (0, 0, 0)),
        (body(wide(100)), "changed", (100, 0, 0)),
        (body(wide(100)), "unchanged", (0, 0, 0)),
        (body(wide(50)), "held", (0, 0, 50)),
        (b"[]", "failed", (0, 0, 0)),
    ):
        file.write_bytes(content)
        done = call(PUBLISHER, "sync", "us", cwd=workdir)
        status: Any = keys.hgetall("catalog:{us}:status")
        polled_at = datetime.fromisoformat(status["polled_at"])
        success = status["polled_at"] if outcome in {"changed", "unchanged"} else success
        error = done.stderr.partition("error: catalog us: ")[2].strip()
        assert status.pop("duration_ms").isdecimal()
        assert status == {
            "outcome": outcome,
            "error": error,
            **dict(zip(("added", "updated", "removed"), map(str, counts), strict=True)),
            "polled_at": rfc3339(polled_at),
            "next_poll_at": rfc3339(polled_at + timedelta(milliseconds=100)),
            "succeeded_at": success,
        }
        assert bool(error) == (outcome == "failed")


@pytest.mark.contract("7")
def test_one_of_several_catalogs_fails(workdir: Path, keys: redis.Redis) -> None:
    """It exits with 1 and one line about that catalog; the others are published."""
    (workdir / "uk.json").write_text("[]")
    done = call(PUBLISHER, "sync", cwd=workdir)
    assert done.returncode == 1
    assert done.stderr == (
        "error: catalog uk-en: the list of categories is empty; a shop's tree never is\n"
    )
    assert keys.hget("catalog:{us}:meta", "count") == "2"
    assert not keys.exists("catalog:{uk-en}:meta")
    assert keys.hget("catalog:{uk-en}:status", "outcome") == "failed"
    assert keys.hget("catalog:{uk-en}:status", "succeeded_at") == ""


@pytest.mark.contract("7")
def test_failed_wins_over_held(workdir: Path) -> None:
    """Of several catalogs, exit code 1 wins over 3."""
    (workdir / "us.json").write_bytes(body(wide(100)))
    call(PUBLISHER, "sync", cwd=workdir)
    (workdir / "us.json").write_bytes(body(wide(50)))
    assert call(PUBLISHER, "sync", cwd=workdir).returncode == 3
    (workdir / "uk.json").write_text("{}")
    assert call(PUBLISHER, "sync", cwd=workdir).returncode == 1


@pytest.mark.contract("5.11")
def test_a_changed_origin(workdir: Path, keys: redis.Redis) -> None:
    """It is refused with exit code 1, until it is accepted for a catalog by name."""
    call(PUBLISHER, "sync", "us", cwd=workdir)
    config = workdir / "publisher.toml"
    config.write_text(
        config.read_text().replace('url = "us.json"', 'url = "us.json"\nlocale = "x"')
    )
    refused = call(PUBLISHER, "sync", "us", cwd=workdir)
    assert refused.returncode == 1
    assert "--accept-origin" in refused.stderr
    assert call(PUBLISHER, "sync", "--accept-origin", cwd=workdir).returncode == 2
    assert call(PUBLISHER, "sync", "us", "--accept-origin", cwd=workdir).returncode == 0
    origin: Any = keys.hget("catalog:{us}:meta", "origin")
    assert json.loads(origin)["locale"] == "x"


def test_a_catalog_that_is_not_configured(workdir: Path) -> None:
    """`sync` exits with 2 and names the catalogs that are configured."""
    done = call(PUBLISHER, "sync", "fr", cwd=workdir)
    assert done.returncode == 2
    assert "configured: uk-en, us" in done.stderr


def test_no_catalog_is_configured(folder: Path) -> None:
    """It exits with 2: to do nothing must not look like success."""
    done = call(PUBLISHER, "sync", cwd=folder)
    assert done.returncode == 2
    assert "no catalog is configured" in done.stderr


def test_redis_does_not_answer(workdir: Path) -> None:
    """One line has the address without the password, and what to check."""
    url = "redis://user:hush@127.0.0.1:1/0"
    done = call(PUBLISHER, "sync", "us", cwd=workdir, CATEGORY_PUBLISHER_REDIS_URL=url)
    assert done.returncode == 1
    assert "error: Redis at redis://127.0.0.1:1/0: " in done.stderr
    assert "is it running" in done.stderr
    assert "hush" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_wrong_password(workdir: Path, valkey: Valkey) -> None:
    """The error names the password as the cause, and does not show it."""
    url = f"redis://:hush@127.0.0.1:{valkey.port}/0"
    done = call(PUBLISHER, "sync", "us", cwd=workdir, CATEGORY_PUBLISHER_REDIS_URL=url)
    assert done.returncode == 1
    assert "check user name and password" in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.contract("7")
def test_the_embedded_server_is_the_default(folder: Path) -> None:
    """Without redis_url each command starts it and stops it; the state persists."""
    (folder / "publisher.toml").write_text('[catalogs.us]\nsource = "file"\nurl = "us.json"\n')
    (folder / "us.json").write_bytes(body(wide(2)))
    assert call(PUBLISHER, "sync", cwd=folder).returncode == 0
    assert call(PUBLISHER, "sync", cwd=folder).stdout == "us: unchanged (sequence 2)\n"
    assert not (folder / "data" / "redis.sock").exists()
    assert (folder / "data").stat().st_mode & 0o777 == 0o700
