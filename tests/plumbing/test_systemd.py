"""The messages that systemd receives; the test's own socket replaces systemd's."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from plumbing.errors import ConfigError
from plumbing.systemd import SystemdNotifier
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, folder: Path) -> Iterator[socket.socket]:
    """Listen as systemd does, at either kind of address."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        path = str(folder / "n")
        listening.bind(path if request.param == "path" else f"\0{path}")
        listening.settimeout(PATIENCE)
        yield listening


def address_of(systemd: socket.socket) -> str:
    """Return the address as systemd sets NOTIFY_SOCKET."""
    name: str | bytes = systemd.getsockname()
    return name if isinstance(name, str) else f"@{name[1:].decode()}"


def received(systemd: socket.socket) -> dict[str, str]:
    """Return the assignments of the next datagram."""
    return dict(line.split("=", 1) for line in systemd.recv(4096).decode().split("\n"))


def test_sends_each_message_as_one_datagram(systemd: socket.socket) -> None:
    """Its lines are the assignments that sd_notify(3) documents."""
    notifier = SystemdNotifier(address_of(systemd))
    notifier.ready()
    assert received(systemd) == {"READY": "1"}
    notifier.reloading()
    message = received(systemd)
    assert message.pop("RELOADING") == "1"
    assert int(message.pop("MONOTONIC_USEC")) > 0
    assert not message
    notifier.stopping()
    assert received(systemd) == {"STOPPING": "1"}


async def test_pings_the_watchdog_until_cancelled(systemd: socket.socket) -> None:
    """There are two pings in each interval."""
    task = asyncio.create_task(SystemdNotifier(address_of(systemd), 0.02).watchdog())
    for _ in range(3):
        assert await asyncio.to_thread(received, systemd) == {"WATCHDOG": "1"}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("variables", "pings"),
    [
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "30000000"}, True),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "own"}, True),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, False),
        ({"NOTIFY_SOCKET": "@n"}, False),
        ({"WATCHDOG_USEC": "30000000"}, False),
        ({"NOTIFY_SOCKET": ""}, False),
        ({}, False),
    ],
)
async def test_pings_only_if_systemd_expects_it_of_this_process(
    variables: dict[str, str], *, pings: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ping needs WATCHDOG_USEC, and a WATCHDOG_PID that is ours or missing.

    Otherwise the task ends.
    """
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("own", str(os.getpid())))
    task = asyncio.create_task(SystemdNotifier.from_environment().watchdog())
    with capture_logs() as lines:  # nothing listens there, so that a ping is logged

        async def has_decided() -> bool:
            return task.done() or lines != []

        await eventually(has_decided)
    assert (lines != []) == (not task.done()) == pings
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("interval", ["soon", "0", "-1", "1.5"])
def test_a_wrong_watchdog_interval_is_a_wrong_configuration(
    interval: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable."""
    monkeypatch.setenv("WATCHDOG_USEC", interval)
    with pytest.raises(ConfigError, match="WATCHDOG_USEC"):
        SystemdNotifier.from_environment()


def test_sends_and_logs_nothing_without_systemd() -> None:
    """The daemon was started in another way."""
    with capture_logs() as lines:
        SystemdNotifier().ready()
    assert lines == []


@pytest.mark.parametrize("address", ["/nowhere/n", "@nobody", "vsock:2:1", "/" + "x" * 200])
def test_continues_without_the_socket_and_logs_it_once(address: str) -> None:
    """Whatever is wrong with the address."""
    notifier = SystemdNotifier(address)
    with capture_logs() as lines:
        notifier.ready()
        notifier.stopping()
    assert [line["event"] for line in lines] == ["systemd cannot be notified, continuing"]


def test_uses_a_socket_again_once_it_is_back(folder: Path, logs: list[Any]) -> None:
    """Its next outage is logged again."""
    path = folder / "n"
    notifier = SystemdNotifier(str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as later:
        notifier.ready()
        later.bind(str(path))
        later.settimeout(PATIENCE)
        notifier.ready()
        assert received(later) == {"READY": "1"}
        path.unlink()
        notifier.stopping()
    down = {
        "event": "systemd cannot be notified, continuing",
        "error": "[Errno 2] No such file or directory",
        "log_level": "warning",
    }
    assert logs == [down, {"event": "systemd is notified again", "log_level": "info"}, down]


def test_a_full_queue_does_not_block_the_daemon(folder: Path) -> None:
    """Systemd reads nothing: a send gives up after SEND_SECONDS."""
    path = str(folder / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf, capture_logs() as lines:
        deaf.bind(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    other.sendto(b"x", path)
        SystemdNotifier(path).ready()
    assert [line["event"] for line in lines] == ["systemd cannot be notified, continuing"]
