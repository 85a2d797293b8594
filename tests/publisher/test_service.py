"""The service of `category-publisher run`: reloads, and outages of Redis."""

import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import redis

from plumbing.config.settings import Settings
from publisher.service import _settings_of_catalog
from tests.publisher.running import (
    configure,
    connect,
    lease_owners,
    polled_at,
    running_publisher,
    stop,
)
from tests.support.ports import free_port
from tests.support.processes import PUBLISHER, replace, start
from tests.support.trees import body, wide
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually_now


@pytest.fixture
def workdir(folder: Path, valkey: Valkey) -> Path:
    """Give a folder that configures catalogs `a` to `d`, polled hourly."""
    (folder / "tree.json").write_bytes(body(wide(3)))
    configure(folder, valkey, ["a", "b", "c", "d"])
    return folder


def test_reload(workdir: Path, keys: redis.Redis, valkey: Valkey) -> None:
    """SIGHUP adds, changes and removes catalogs; unchanged ones are not polled for it."""
    with running_publisher(workdir) as process:
        eventually_now(lambda: all(polled_at(keys, name) for name in "abcd"))
        eventually_now(lambda: all(lease_owners(keys)))
        before = polled_at(keys, "a")
        configure(workdir, valkey, ["a", "b", "e"], 'log_level = "debug"')
        with (workdir / "publisher.toml").open("a") as file:
            file.write('poll_every = "30m"\n')
        process.send_signal(signal.SIGHUP)
        eventually_now(lambda: polled_at(keys, "e"))
        eventually_now(lambda: lease_owners(keys, "cd") == [None, None])
        assert polled_at(keys, "a") == before
        log = stop(process)
    reloaded = next(each for each in log if each["event"] == "configuration reloaded")
    assert (reloaded["changed"], reloaded["removed"]) == (["e"], ["c", "d"])
    restart = next(each for each in log if each["event"].startswith("restart needed"))
    assert restart["settings"] == ["log_level"]
    assert lease_owners(keys, "abe") == [None, None, None]


def test_a_chosen_address_in_use_is_an_error(workdir: Path, valkey: Valkey) -> None:
    """One line and exit code 2, before any poll."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        configure(workdir, valkey, ["a"], f'http_listen = "{address}"')
        process = start(PUBLISHER, "run", cwd=workdir)
        _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert f"http_listen '{address}': cannot listen there" in log
    assert "Traceback" not in log


def test_a_hangup_during_the_start_does_not_stop_it(
    workdir: Path, keys: redis.Redis, valkey: Valkey
) -> None:
    """A reload that comes too early has nothing to reload."""
    valkey.pause()
    with running_publisher(workdir) as process:
        eventually_now(lambda: handles_signal(process.pid, signal.SIGHUP))
        process.send_signal(signal.SIGHUP)
        valkey.resume()
        eventually_now(lambda: all(lease_owners(keys)))
        stop(process)


def handles_signal(pid: int, number: signal.Signals) -> bool:
    """Return whether a process handles a signal (proc(5), SigCgt)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.split("SigCgt:")[1].split()[0], 16) >> (number - 1) & 1)


@pytest.mark.parametrize(
    "wrong",
    [b"[", b"lease = 3", b"", b'data_dir = "x"', b'[catalogs.us]\nsource = "tiktok_shop"\n'],
)
def test_a_wrong_configuration_is_rejected(workdir: Path, keys: redis.Redis, wrong: bytes) -> None:
    """One line is logged, and the old one stays: a typo does not stop `run`."""
    with running_publisher(workdir) as process:
        eventually_now(lambda: all(lease_owners(keys)))
        replace(workdir / "publisher.toml", wrong)
        process.send_signal(signal.SIGHUP)
        replace(workdir / "tree.json", body(wide(5)))
        assert process.poll() is None
        log = stop(process)
    rejected = [each for each in log if each["event"].startswith("reload rejected")]
    assert len(rejected) == 1
    assert "exception" not in rejected[0]


def test_an_outage_is_logged_once_at_each_end(folder: Path) -> None:
    """At the start and later, however many catalogs there are."""
    (folder / "tree.json").write_bytes(body(wide(3)))
    server, web = Valkey(folder), f"127.0.0.1:{free_port()}"
    configure(folder, server, list("abcd"))
    with (folder / "publisher.toml").open("a") as file:
        file.write('[catalogs.e]\nsource = "file"\nurl = "tree.json"\npoll_every = "1s"\n')
    with running_publisher(folder, CATEGORY_PUBLISHER_HTTP_LISTEN=web) as process:
        eventually_now(lambda: readiness(web).startswith("the leases"))
        with server:
            eventually_now(lambda: readiness(web) == "ready")
            with connect(server) as keys:
                eventually_now(lambda: all(polled_at(keys, name) for name in "abcd"))
            server.kill()
            eventually_now(lambda: readiness(web).startswith("the leases"))
            server.start()
            eventually_now(lambda: readiness(web) == "ready")
            with connect(server) as keys:
                for _ in range(3):  # when the second begins, the first was logged
                    wait_for_a_poll(keys, "e")
            log = stop(process)
    entries = [each for each in log if "redis" in each["event"] or "poll" in each["event"]]
    waited_at_start = "address" in entries[0]  # else the server was up before it was needed
    messages = [each["event"] for each in entries]
    assert len(messages) <= 4 + 2 * waited_at_start  # a poll begun before the end may fail after it
    assert messages[::2] == ["redis unavailable, retrying"] * (len(messages) // 2)
    assert messages[1::2] == ["redis available again"] * (len(messages) // 2)


def wait_for_a_poll(keys: redis.Redis, name: str) -> None:
    """Return when catalog `name` was polled once more."""
    before = polled_at(keys, name)
    eventually_now(lambda: polled_at(keys, name) != before)


def readiness(web: str) -> str:
    """Return the response of /readyz; empty while nothing listens."""
    try:
        with urllib.request.urlopen(f"http://{web}/readyz", timeout=PATIENCE) as answer:
            return str(answer.read().decode().strip())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""


@pytest.mark.parametrize(("source", "is_other"), [("tiktok_shop", True), ("http", False)])
def test_a_catalogs_settings_include_those_of_its_shop(source: str, *, is_other: bool) -> None:
    """A reload continues with the poll of a catalog whose settings are the same."""
    catalog = {"source": source, "url": "http://127.0.0.1/" if source == "http" else None}
    one, two = (
        Settings.model_validate({"catalogs": {"us": catalog}, "tiktok_shop": {"app_key": key}})
        for key in ("one", "two")
    )
    assert (_settings_of_catalog(one, "us") != _settings_of_catalog(two, "us")) == is_other
    assert _settings_of_catalog(one, "us") == _settings_of_catalog(one, "us") is not None
    assert _settings_of_catalog(one, "uk") is None
