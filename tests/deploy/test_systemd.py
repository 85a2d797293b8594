"""The systemd units: what systemd reports on them, and what the daemon notifies."""

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.processes import PUBLISHER, start
from tests.support.trees import body, tree
from tests.support.waiting import PATIENCE

UNITS = ("category-publisher.service", "category-consumer@.service")
INSTALLED = "/opt/category-publisher/bin"
EXPOSURE = 1.5
"""Of 10; systemd calls up to 2 safe. The rest is the network, which the daemon needs."""


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze; systemd itself need not run here."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (Debian package systemd)")
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def local_copy(unit: str, folder: Path) -> Path:
    """Return a copy of a unit with the paths of the programs on this machine."""
    text = (ROOT / "deploy" / unit).read_text()
    assert INSTALLED in text
    copy = folder / unit.replace("@.", "@us.")
    copy.write_text(text.replace(INSTALLED, str(Path(sys.executable).parent)))
    return copy


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts_it(unit: str, folder: Path) -> None:
    """There is no warning; and a mistake is found."""
    copy = local_copy(unit, folder)
    done = analyze("verify", "--man=no", copy)
    assert (done.returncode, done.stderr) == (0, "")
    copy.write_text(copy.read_text().replace("NoNewPrivileges", "NoNewPrivilege"))
    assert "NoNewPrivilege" in analyze("verify", "--man=no", copy).stderr


@pytest.mark.parametrize("unit", UNITS)
def test_it_is_hardened(unit: str) -> None:
    """Systemd's own score is good."""
    done = analyze(
        "security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", ROOT / "deploy" / unit
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("unit", UNITS)
def test_it_is_restarted(unit: str) -> None:
    """It is restarted after any exit but that of a wrong configuration, exit code 2.

    SIGHUP, SIGINT and SIGTERM are clean exits for systemd, so Restart=on-failure is not enough.
    """
    lines = (ROOT / "deploy" / unit).read_text().splitlines()
    assert "Restart=always" in lines
    assert "RestartPreventExitStatus=2" in lines


def test_the_daemon_sees_the_boot() -> None:
    """The lease owner and the metrics process_… read the machine's /proc."""
    assert "ProcSubset=pid" not in (ROOT / "deploy" / UNITS[0]).read_text().splitlines()


def test_the_daemon_follows_the_protocol(folder: Path) -> None:
    """READY, WATCHDOG, RELOADING and READY at SIGHUP, STOPPING, exit code 0."""
    (folder / "us.json").write_bytes(body(tree(("1", "0"))))
    (folder / "publisher.toml").write_text(
        'http_listen = "off"\n[catalogs.us]\nsource = "file"\nurl = "us.json"\n'
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "n"))
        systemd.settimeout(PATIENCE)
        daemon = start(
            PUBLISHER, "run", cwd=folder, NOTIFY_SOCKET=str(folder / "n"), WATCHDOG_USEC="200000"
        )
        try:
            messages = _read_until(systemd, "READY=1")
            messages += _read_until(systemd, "WATCHDOG=1")
            daemon.send_signal(signal.SIGHUP)
            assert "RELOADING=1" in _read_until(systemd, "READY=1")
            daemon.send_signal(signal.SIGTERM)
            _read_until(systemd, "STOPPING=1")
            assert daemon.wait(PATIENCE) == 0
        finally:
            daemon.kill()
            daemon.communicate()
    assert "STOPPING=1" not in messages


def _read_until(systemd: socket.socket, message: str) -> list[str]:
    """Return the messages up to and including `message`."""
    messages: list[str] = []
    while message not in messages:
        messages += systemd.recv(4096).decode().splitlines()
    return messages
