"""What systemd is told, received on a socket of the test's own in systemd's place."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from plumbing.errors import ConfigError
from plumbing.systemd import SystemdNotifier
from tests.support.waiting import PATIENCE


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, folder: Path) -> Iterator[socket.socket]:
    """Listen as systemd does, at either kind of address."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        place = str(folder / "n")
        listening.bind(place if request.param == "path" else f"\0{place}")
        listening.settimeout(PATIENCE)
        yield listening


def address_of(systemd: socket.socket) -> str:
    """Return the address as systemd writes it into NOTIFY_SOCKET."""
    name: str | bytes = systemd.getsockname()
    return name if isinstance(name, str) else f"@{name[1:].decode()}"


def received(systemd: socket.socket) -> dict[str, str]:
    """Return the assignments of the next datagram."""
    return dict(line.split("=", 1) for line in systemd.recv(4096).decode().split("\n"))


def test_each_message(systemd: socket.socket) -> None:
    """A message is one datagram, in systemd's words."""
    notify = SystemdNotifier(address_of(systemd))
    notify.ready()
    assert received(systemd) == {"READY": "1"}
    notify.reloading()
    told = received(systemd)
    assert told.pop("RELOADING") == "1"
    assert int(told.pop("MONOTONIC_USEC")) > 0
    assert not told
    notify.stopping()
    assert received(systemd) == {"STOPPING": "1"}


async def test_the_watchdog_is_fed(systemd: socket.socket) -> None:
    """Pings come again and again, until cancelled."""
    task = asyncio.create_task(SystemdNotifier(address_of(systemd), 0.02).watchdog())
    for _ in range(3):
        assert await asyncio.to_thread(received, systemd) == {"WATCHDOG": "1"}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("variables", "fed"),
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
async def test_who_is_to_be_fed(
    variables: dict[str, str], *, fed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a watchdog that was set, and for this process; without one the task just ends."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("own", str(os.getpid())))
    task = asyncio.create_task(SystemdNotifier.from_environment().watchdog())
    done, _ = await asyncio.wait([task], timeout=0.05)
    assert (task not in done) == fed
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("span", ["soon", "0", "-1", "1.5"])
def test_a_wrong_watchdog(span: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as what it is: a wrong configuration."""
    monkeypatch.setenv("WATCHDOG_USEC", span)
    with pytest.raises(ConfigError, match="WATCHDOG_USEC"):
        SystemdNotifier.from_environment()


def test_without_systemd() -> None:
    """Nothing is sent, nothing is told."""
    with capture_logs() as lines:
        SystemdNotifier().ready()
    assert lines == []


@pytest.mark.parametrize("address", ["/nowhere/n", "@nobody", "vsock:2:1", "/" + "x" * 200])
def test_a_socket_that_is_gone(address: str) -> None:
    """The daemon goes on, and says so once."""
    notify = SystemdNotifier(address)
    with capture_logs() as lines:
        notify.ready()
        notify.stopping()
    assert [line["event"] for line in lines] == ["systemd cannot be notified, going on"]


def test_a_socket_that_comes_back(folder: Path) -> None:
    """It is used again, and its next outage is told again."""
    place = folder / "n"
    notify = SystemdNotifier(str(place))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as later, capture_logs() as lines:
        notify.ready()
        later.bind(str(place))
        later.settimeout(PATIENCE)
        notify.ready()
        assert received(later) == {"READY": "1"}
        place.unlink()
        notify.stopping()
    assert len(lines) == 2


def test_a_full_queue(folder: Path) -> None:
    """Systemd that reads nothing does not stop the daemon for long."""
    place = str(folder / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf, capture_logs() as lines:
        deaf.bind(place)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    other.sendto(b"x", place)
        SystemdNotifier(place).ready()
    assert [line["event"] for line in lines] == ["systemd cannot be notified, going on"]
