"""`category-publisher` from outside: exit codes, output, and what stands in Redis (contract, 7)."""

import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
import redis

from publisher.cli import COMMANDS
from tests.support.processes import PUBLISHER, TIMEOUT, call, replace, start
from tests.support.trees import body, tree, wide
from tests.support.valkey import Valkey
from tests.support.waiting import eventually_now

SMALL = tree(("1", "0", "Home", False), ("2", "1", "Käse & <b>\n", True))


@pytest.fixture
def keys(valkey: Valkey) -> redis.Redis:
    """Give a client of the empty server that the commands use."""
    client = redis.Redis.from_url(valkey.url, protocol=2, decode_responses=True)
    client.flushall()
    return client


@pytest.fixture
def place(folder: Path, valkey: Valkey, keys: redis.Redis) -> Path:  # noqa: ARG001  empties it
    """Give a folder with a configuration of two catalogs from files."""
    (folder / "publisher.toml").write_text(
        f'redis_url = "{valkey.url}"\n'
        '[catalogs.us]\nsource = "file"\nurl = "us.json"\npoll_every = "100ms"\n'
        '[catalogs.uk-en]\nsource = "file"\nurl = "uk.json"\n'
    )
    (folder / "us.json").write_bytes(body(SMALL))
    (folder / "uk.json").write_bytes(body(SMALL))
    return folder


def meta(keys: redis.Redis, catalog: str = "us") -> dict[str, str]:
    found: Any = keys.hgetall(f"catalog:{{{catalog}}}:meta")
    return dict(found)


def test_sync(place: Path, keys: redis.Redis) -> None:
    """It publishes what is new and exits 0; nothing changed is 0 too; status tells of it."""
    first = call(PUBLISHER, "sync", cwd=place)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines() == [
        "uk-en: 2 added, 0 updated, 0 removed (sequence 2)",
        "us: 2 added, 0 updated, 0 removed (sequence 2)",
    ]
    again = call(PUBLISHER, "sync", "us", cwd=place)
    assert again.stdout == "us: unchanged (sequence 2)\n"
    status: Any = keys.hgetall("catalog:{us}:status")
    assert status["outcome"] == "unchanged"
    assert set(status) == {
        *("polled_at", "outcome", "error", "duration_ms", "next_poll_at", "succeeded_at"),
        *("added", "updated", "removed"),
    }
    assert keys.smembers("catalogs") == {"us", "uk-en"}


def test_one_of_several_catalogs_fails(place: Path, keys: redis.Redis) -> None:
    """Exit 1, one line for it, and the others are done."""
    (place / "uk.json").write_text("[]")
    done = call(PUBLISHER, "sync", cwd=place)
    assert done.returncode == 1
    assert done.stderr == (
        "error: catalog uk-en: the list of categories is empty; a shop's tree never is\n"
    )
    assert meta(keys)["count"] == "2"
    assert meta(keys, "uk-en") == {}
    assert keys.hget("catalog:{uk-en}:status", "outcome") == "failed"
    assert keys.hget("catalog:{uk-en}:status", "succeeded_at") == ""


def test_hold_diff_approve(place: Path, keys: redis.Redis) -> None:
    """Exit 3 while held, from sync and diff; approve publishes just what was looked at."""
    (place / "us.json").write_bytes(body(wide(100)))
    call(PUBLISHER, "sync", "us", cwd=place)
    (place / "us.json").write_bytes(body(wide(50)))
    assert call(PUBLISHER, "diff", "us", cwd=place).returncode == 3
    assert keys.get("catalog:{us}:hold") is None
    held = call(PUBLISHER, "sync", "us", cwd=place)
    assert held.returncode == 3
    shown = json.loads(call(PUBLISHER, "status", "--json", cwd=place).stdout)
    digest = next(each["hold"]["digest"] for each in shown["catalogs"] if each["catalog"] == "us")
    assert f"approve us {digest}" in held.stdout
    assert f"approve us {digest}" in call(PUBLISHER, "status", cwd=place).stdout
    other = call(PUBLISHER, "approve", "us", "0" * 16, cwd=place)
    assert other.returncode == 3
    assert digest in other.stderr
    assert meta(keys)["count"] == "100"
    assert call(PUBLISHER, "approve", "us", digest, cwd=place).returncode == 0
    assert meta(keys)["count"] == "50"
    assert call(PUBLISHER, "approve", "us", digest, cwd=place).returncode == 1
    assert call(PUBLISHER, "approve", "us", "short", cwd=place).returncode == 2


def test_failed_wins_over_held(place: Path) -> None:
    """1 before 3."""
    (place / "us.json").write_bytes(body(wide(100)))
    call(PUBLISHER, "sync", cwd=place)
    (place / "us.json").write_bytes(body(wide(50)))
    (place / "uk.json").write_text("{}")
    assert call(PUBLISHER, "sync", cwd=place).returncode == 1


def test_diff_writes_no_key(place: Path, keys: redis.Redis) -> None:
    """It shows the changes, names escape_control_chars, and leaves Redis empty."""
    done = call(PUBLISHER, "diff", "us", cwd=place)
    assert done.returncode == 0
    assert "+ 2          Käse & <b>\\n" in done.stdout
    assert keys.keys("*") == []
    lines = call(PUBLISHER, "diff", "us", "--json", cwd=place).stdout.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["category.added", "category.added"]


def test_export(place: Path, keys: redis.Redis) -> None:
    """JSON that a `file` source reads back to the same digest, and CSV with every blank."""
    assert call(PUBLISHER, "export", "us", cwd=place).returncode == 1
    call(PUBLISHER, "sync", "us", cwd=place)
    exported = call(PUBLISHER, "export", "us", "--format", "json", cwd=place).stdout
    (place / "uk.json").write_text(exported)
    call(PUBLISHER, "sync", "uk-en", cwd=place)
    assert meta(keys, "uk-en")["digest"] == meta(keys)["digest"]
    table = call(PUBLISHER, "export", "us", "--format", "csv", cwd=place).stdout
    assert list(csv.reader(io.StringIO(table, newline=""))) == [
        ["id", "parent_id", "local_name", "is_leaf"],
        ["1", "0", "Home", "false"],
        ["2", "1", "Käse & <b>\n", "true"],
    ]
    assert call(PUBLISHER, "export", "us", "--format", "xml", cwd=place).returncode == 2


def test_a_changed_origin(place: Path, keys: redis.Redis) -> None:
    """Refused with exit 1 until it is accepted for a catalog by name."""
    call(PUBLISHER, "sync", "us", cwd=place)
    config = place / "publisher.toml"
    config.write_text(
        config.read_text().replace('url = "us.json"', 'url = "us.json"\nlocale = "x"')
    )
    refused = call(PUBLISHER, "sync", "us", cwd=place)
    assert refused.returncode == 1
    assert "--accept-origin" in refused.stderr
    assert call(PUBLISHER, "sync", "--accept-origin", cwd=place).returncode == 2
    assert call(PUBLISHER, "sync", "us", "--accept-origin", cwd=place).returncode == 0
    assert json.loads(meta(keys)["origin"])["locale"] == "x"


def test_run_publishes_until_stopped(place: Path, keys: redis.Redis) -> None:
    """The daemon follows the file, survives bad content, and ends with 0 on SIGTERM."""
    process = start(PUBLISHER, "run", cwd=place, CATEGORY_PUBLISHER_LOG_FORMAT="json")
    eventually_now(lambda: meta(keys).get("count") == "2")
    replace(place / "us.json", b"{")
    eventually_now(lambda: keys.hget("catalog:{us}:status", "outcome") == "failed")
    replace(place / "us.json", body(wide(10)))
    eventually_now(lambda: meta(keys).get("count") == "10")
    eventually_now(lambda: keys.hget("catalog:{us}:status", "outcome") == "unchanged")
    process.send_signal(signal.SIGTERM)
    _, logs = process.communicate(timeout=20)
    assert process.returncode == 0
    events = [orjson.loads(line) for line in logs.splitlines()]
    failures = [each for each in events if each["event"] == "poll failed"]
    assert len(failures) == 1
    assert failures[0]["catalog"] == "us"
    assert [each["event"] for each in events].count("poll recovered") == 1


def test_a_catalog_that_is_not_configured(place: Path) -> None:
    """Exit 2 and the names that are."""
    done = call(PUBLISHER, "sync", "fr", cwd=place)
    assert done.returncode == 2
    assert "configured: uk-en, us" in done.stderr


def test_nothing_is_configured(folder: Path) -> None:
    """Exit 2, not a silent success."""
    done = call(PUBLISHER, "sync", cwd=folder)
    assert done.returncode == 2
    assert "no catalog is configured" in done.stderr


def test_a_wrong_command_line(place: Path) -> None:
    """Exit 2 with the usage."""
    for words in (["publish"], ["sync", "--fast"], ["diff"], ["approve", "us"]):
        assert call(PUBLISHER, *words, cwd=place).returncode == 2


def test_redis_that_does_not_answer(place: Path) -> None:
    """One line with the address, without the password, and what to look at."""
    url = "redis://user:hush@127.0.0.1:1/0"
    done = call(PUBLISHER, "sync", "us", cwd=place, CATEGORY_PUBLISHER_REDIS_URL=url)
    assert done.returncode == 1
    assert "error: Redis at redis://127.0.0.1:1/0: " in done.stderr
    assert "is it running" in done.stderr
    assert "hush" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_wrong_password(place: Path, valkey: Valkey) -> None:
    """It is told as that, and not shown."""
    url = f"redis://:hush@127.0.0.1:{valkey.port}/0"
    done = call(PUBLISHER, "sync", "us", cwd=place, CATEGORY_PUBLISHER_REDIS_URL=url)
    assert done.returncode == 1
    assert "check user name and password" in done.stderr
    assert "hush" not in done.stderr


def test_the_embedded_server_is_the_default(folder: Path) -> None:
    """Without redis_url each command starts it and stops it; the state is there again."""
    (folder / "publisher.toml").write_text('[catalogs.us]\nsource = "file"\nurl = "us.json"\n')
    (folder / "us.json").write_bytes(body(SMALL))
    assert call(PUBLISHER, "sync", cwd=folder).returncode == 0
    assert call(PUBLISHER, "sync", cwd=folder).stdout == "us: unchanged (sequence 2)\n"
    assert not (folder / "data" / "redis.sock").exists()
    assert (folder / "data").stat().st_mode & 0o777 == 0o700


def test_help_of_every_command(place: Path) -> None:
    """Each explains itself."""
    listed = call(PUBLISHER, "--help", cwd=place).stdout
    for name, summary in COMMANDS.items():
        assert f"  {name} " in listed
        explained = call(PUBLISHER, name, "--help", cwd=place).stdout
        assert summary in " ".join(explained.split())
        assert "--config FILE" in explained


@pytest.mark.parametrize("command", ["sync", "run"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_early_it_leaves_no_server(
    folder: Path, command: str, number: signal.Signals
) -> None:
    """A signal as soon as the embedded server is there ends that too."""
    (folder / "publisher.toml").write_text('[catalogs.us]\nsource = "file"\nurl = "us.json"\n')
    (folder / "us.json").write_bytes(body(wide(20_000)))
    process = start(PUBLISHER, command, cwd=folder)
    me = psutil.Process(process.pid)
    servers = eventually_now(lambda: me.children(recursive=True))
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode in ({0} if command == "run" else {0, 128 + number})
    assert not [server for server in servers if psutil.pid_exists(server.pid)]


def test_output_that_cannot_be_written(place: Path) -> None:
    """A full disk is told, an ASCII terminal gets escapes, `| head` is no error of ours."""
    call(PUBLISHER, "sync", "us", cwd=place)
    ascii_only = start(PUBLISHER, "diff", "uk-en", cwd=place, PYTHONIOENCODING="ascii")
    shown, told = ascii_only.communicate(timeout=TIMEOUT)
    assert ascii_only.returncode == 0, told
    assert "K\\xe4se" in shown
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        words = [sys.executable, "-m", PUBLISHER, "export", "us"]
        done = subprocess.run(words, cwd=place, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr.decode() == (
        "error: standard output cannot be written: No space left on device\n"
    )
