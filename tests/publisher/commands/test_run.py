"""`category-publisher run` as an operator sees it: signals, several publishers, `status`."""

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.ports import free_port
from tests.support.processes import PUBLISHER, call, replace, start
from tests.support.trees import body, wide
from tests.support.valkey import Valkey
from tests.support.waiting import eventually_now

QUIET = {"CATEGORY_PUBLISHER_LOG_FORMAT": "json", "CATEGORY_PUBLISHER_HTTP_LISTEN": "off"}


@pytest.fixture
def keys(valkey: Valkey) -> Iterator[redis.Redis]:
    """Give the empty store, as somebody who knows only the contract sees it."""
    with connected(valkey) as client:
        client.flushall()
        yield client


@pytest.fixture
def place(folder: Path, valkey: Valkey) -> Path:
    """Give a folder with a configuration of four catalogs that are polled hourly."""
    (folder / "tree.json").write_bytes(body(wide(3)))
    configure(folder, valkey, ["a", "b", "c", "d"])
    return folder


def configure(folder: Path, valkey: Valkey, names: list[str], more: str = "") -> None:
    """Write publisher.toml with catalogs `names`."""
    sections = (f'[catalogs.{name}]\nsource = "file"\nurl = "tree.json"\n' for name in names)
    text = f'redis_url = "{valkey.url}"\nlease = "3s"\n{more}\n' + "".join(sections)
    replace(folder / "publisher.toml", text.encode())


@contextmanager
def publisher(place: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Let a publisher run; end it with SIGKILL if the test did not."""
    process = start(PUBLISHER, "run", cwd=place, **(QUIET | variables))
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def polled(keys: redis.Redis, name: str) -> Any:
    """Return when catalog `name` was polled last."""
    return keys.hget(f"catalog:{{{name}}}:status", "polled_at")


def owners(keys: redis.Redis, names: str = "abcd") -> list[Any]:
    """Return the owners of the leases."""
    return [keys.get(f"catalog:{{{name}}}:lease") for name in names]


def events(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Stop a publisher with SIGTERM, which ends it with 0, and return its log."""
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    return [json.loads(line) for line in log.splitlines()]


def test_reload(place: Path, keys: redis.Redis, valkey: Valkey) -> None:
    """SIGHUP adds, changes and removes catalogs; those that stay as they are are not polled."""
    with publisher(place) as process:
        eventually_now(lambda: all(polled(keys, name) for name in "abcd"))
        eventually_now(lambda: all(owners(keys)))
        before = polled(keys, "a")
        configure(place, valkey, ["a", "b", "e"], 'log_level = "debug"')
        with (place / "publisher.toml").open("a") as file:
            file.write('poll_every = "30m"\n')
        process.send_signal(signal.SIGHUP)
        eventually_now(lambda: polled(keys, "e"))
        eventually_now(lambda: owners(keys, "cd") == [None, None])
        assert polled(keys, "a") == before
        log = events(process)
    taken = next(each for each in log if each["event"] == "configuration reloaded")
    assert (taken["changed"], taken["removed"]) == (["e"], ["c", "d"])
    waiting = next(each for each in log if each["event"].startswith("restart needed"))
    assert waiting["settings"] == ["log_level"]
    assert owners(keys, "abe") == [None, None, None]


def test_a_hangup_during_the_start_is_no_end(
    place: Path, keys: redis.Redis, valkey: Valkey
) -> None:
    """A reload that comes too early has nothing to take over."""
    valkey.pause()
    with publisher(place) as process:
        eventually_now(lambda: catches(process.pid, signal.SIGHUP))
        process.send_signal(signal.SIGHUP)
        valkey.resume()
        eventually_now(lambda: all(owners(keys)))
        events(process)


def test_an_outage_is_a_line_at_each_end(folder: Path) -> None:
    """Be it at the start, which waits, or later; however many catalogs there are."""
    (folder / "tree.json").write_bytes(body(wide(3)))
    server, web = Valkey(folder), f"127.0.0.1:{free_port()}"
    configure(folder, server, list("abcd"))
    with (folder / "publisher.toml").open("a") as file:
        file.write('[catalogs.e]\nsource = "file"\nurl = "tree.json"\npoll_every = "1s"\n')
    with publisher(folder, CATEGORY_PUBLISHER_HTTP_LISTEN=web) as process:
        eventually_now(lambda: readiness(web).startswith("the leases"))
        with server:
            eventually_now(lambda: readiness(web) == "ready")
            with connected(server) as keys:
                eventually_now(lambda: all(polled(keys, name) for name in "abcd"))
            server.kill()
            eventually_now(lambda: readiness(web).startswith("the leases"))
            server.start()
            eventually_now(lambda: readiness(web) == "ready")
            with connected(server) as keys:
                for _ in range(3):  # when the second begins, the first was told
                    wait_for_a_poll(keys, "e")
            log = events(process)
    entries = [each for each in log if "redis" in each["event"].lower() or "poll" in each["event"]]
    is_of_start = "address" in entries[0]  # the start waited; else it succeeded before the outage
    messages = [each["event"] for each in entries]
    assert (
        len(messages) <= 4 + 2 * is_of_start
    )  # a poll that began before the end may fail after it
    assert messages[::2] == ["redis unavailable, retrying"] * (len(messages) // 2)
    assert messages[1::2] == ["redis available again"] * (len(messages) // 2)


def wait_for_a_poll(keys: redis.Redis, name: str) -> None:
    """Return when catalog `name` was polled once more."""
    before = polled(keys, name)
    eventually_now(lambda: polled(keys, name) != before)


def connected(server: Valkey) -> redis.Redis:
    """Return a client that knows only the contract."""
    return redis.Redis.from_url(server.url, protocol=2, decode_responses=True)


def readiness(web: str) -> str:
    """Return what /readyz says; empty while nobody serves it."""
    try:
        with urllib.request.urlopen(f"http://{web}/readyz", timeout=5) as answer:
            return str(answer.read().decode().strip())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""


def catches(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process handles a signal (proc(5), SigCgt)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.split("SigCgt:")[1].split()[0], 16) >> (number - 1) & 1)


@pytest.mark.parametrize(
    "wrong",
    [b"[", b"lease = 3", b"", b'data_dir = "x"', b'[catalogs.us]\nsource = "tiktok_shop"\n'],
)
def test_a_wrong_configuration_is_not_taken_over(
    place: Path, keys: redis.Redis, wrong: bytes
) -> None:
    """It is told in a line, and the old one goes on; `run` does not end for a slip of the pen."""
    with publisher(place) as process:
        eventually_now(lambda: all(owners(keys)))
        replace(place / "publisher.toml", wrong)
        process.send_signal(signal.SIGHUP)
        replace(place / "tree.json", body(wide(5)))
        assert process.poll() is None
        log = events(process)
    told = [each for each in log if each["event"].startswith("reload rejected")]
    assert len(told) == 1
    assert "exception" not in told[0]


def test_a_killed_publishers_catalogs_are_taken_over(place: Path, keys: redis.Redis) -> None:
    """Two share evenly; of the one that is killed the other takes all, and asks nothing again."""
    with publisher(place) as one, publisher(place) as other:
        eventually_now(lambda: all(polled(keys, name) for name in "abcd"))
        eventually_now(lambda: len(set(owners(keys))) == 2 and all(owners(keys)))
        eventually_now(lambda: sorted(map(owners(keys).count, set(owners(keys)))) == [2, 2])
        one.kill()
        one.wait()
        eventually_now(lambda: set(map(pid_of, owners(keys))) == {other.pid})
        names = [each["event"] for each in events(other)]
        assert "poll failed" not in names
    assert owners(keys) == [None] * 4


def pid_of(owner: str | None) -> int | None:
    """Return the process in a lease's owner."""
    return int(owner.rsplit(":", 3)[1]) if owner else None


def test_a_paused_publisher_polls_nothing_when_it_wakes(place: Path, keys: redis.Redis) -> None:
    """Its leases are others' by then; so it looks before it asks."""
    with publisher(place) as sleeper:
        eventually_now(lambda: all(polled(keys, name) for name in "abcd"))
        os.kill(sleeper.pid, signal.SIGSTOP)
        with publisher(place) as other:
            eventually_now(lambda: set(map(pid_of, owners(keys))) == {other.pid})
            os.kill(sleeper.pid, signal.SIGCONT)
            eventually_now(lambda: set(map(pid_of, owners(keys))) == {other.pid, sleeper.pid})
            assert [each for each in events(sleeper) if each["event"] == "poll failed"] == []
            events(other)


@pytest.mark.usefixtures("keys")
def test_status_says_whether_all_is_fine(place: Path) -> None:
    """0 all is fine, 1 something is not, 3 a snapshot is held; the same in JSON."""
    never = call(PUBLISHER, "status", cwd=place)
    assert never.returncode == 1
    assert "a: it was never polled" in never.stdout
    assert call(PUBLISHER, "sync", cwd=place).returncode == 0
    fine = call(PUBLISHER, "status", cwd=place)
    assert (fine.returncode, fine.stdout.splitlines()[-1]) == (0, "everything is fine")
    told = json.loads(call(PUBLISHER, "status", "--json", cwd=place).stdout)
    assert told["fine"] is True
    assert told["catalogs"][0]["problems"] == []
    replace(place / "tree.json", b"[]")
    assert call(PUBLISHER, "sync", "a", cwd=place).returncode == 1
    failed = call(PUBLISHER, "status", "--json", cwd=place)
    assert failed.returncode == 1
    assert (
        "the list of categories is empty" in json.loads(failed.stdout)["catalogs"][0]["problems"][0]
    )
    assert call(PUBLISHER, "status", "--watch", "--json", cwd=place).returncode == 2


def test_status_tells_of_consumers_that_are_behind(place: Path, keys: redis.Redis) -> None:
    """How many events and how long; after minutes that is a problem."""
    call(PUBLISHER, "sync", "a", cwd=place)
    meta = keys.hgetall("catalog:{a}:meta")
    at = {"epoch": meta["epoch"], "sequence": 1, "offset": "1-1", "digest": meta["digest"]}
    keys.hset("catalog:{a}:consumers", "search", json.dumps(at))
    keys.hset("catalog:{a}:consumers", "\x1b[2J", "no JSON")
    shown = call(PUBLISHER, "status", cwd=place).stdout
    assert "search: 2 behind, " in shown
    assert "\\x1b[2J: in another epoch, or unreadable" in shown
    old = {"event": "{}"}
    keys.delete("catalog:{a}:events")
    keys.xadd("catalog:{a}:events", old, id="1000-1")  # type: ignore[arg-type]
    late = call(PUBLISHER, "status", cwd=place)
    assert late.returncode == 1
    assert "consumer search is 2 events behind for " in late.stdout


def test_watch_goes_on_until_stopped(place: Path, keys: redis.Redis) -> None:
    """Also where its output is no terminal; SIGTERM ends it with 0."""
    keys.set("nobody", "knows")
    process = start(PUBLISHER, "status", "--watch", cwd=place)
    assert process.stdout is not None
    assert "catalog" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0
