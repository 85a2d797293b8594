"""The units: what systemd says to them, and what the daemon says to systemd."""

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
"""Of 10; systemd calls up to 2 safe. What is left is the network, which is what it is for."""
SECONDS = 60.0


def analyzed(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Have systemd look at a unit; it need not run here for that."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (Debian package systemd)")
    return subprocess.run(
        [program, *words], capture_output=True, text=True, timeout=SECONDS, check=False
    )


def here(unit: str, folder: Path) -> Path:
    """Return a copy of a unit, with its programs where they are on this machine."""
    text = (ROOT / "deploy" / unit).read_text()
    assert INSTALLED in text
    copy = folder / unit.replace("@.", "@us.")
    copy.write_text(text.replace(INSTALLED, str(Path(sys.executable).parent)))
    return copy


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_takes_it(unit: str, folder: Path) -> None:
    """Without a warning; and it sees a mistake."""
    copy = here(unit, folder)
    done = analyzed("verify", "--man=no", copy)
    assert (done.returncode, done.stderr) == (0, "")
    copy.write_text(copy.read_text().replace("NoNewPrivileges", "NoNewPrivilege"))
    assert "NoNewPrivilege" in analyzed("verify", "--man=no", copy).stderr


@pytest.mark.parametrize("unit", UNITS)
def test_it_is_hardened(unit: str) -> None:
    """Systemd's own score is a good one."""
    done = analyzed(
        "security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", ROOT / "deploy" / unit
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("unit", UNITS)
def test_it_is_started_again(unit: str) -> None:
    """After any end but a wrong configuration's: systemd calls SIGHUP, SIGINT and SIGTERM clean."""
    lines = (ROOT / "deploy" / unit).read_text().splitlines()
    assert "Restart=always" in lines
    assert "RestartPreventExitStatus=2" in lines


def test_the_daemon_sees_the_boot() -> None:
    """By it publisher/owner.py knows the machine; process_… of the metrics needs /proc/stat."""
    assert "ProcSubset=pid" not in (ROOT / "deploy" / UNITS[0]).read_text().splitlines()


def test_the_daemon_keeps_to_the_protocol(folder: Path) -> None:
    """READY once it has begun, pings, RELOADING and READY at SIGHUP, STOPPING, exit code 0."""
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
            told = _until(systemd, "READY=1")
            told += _until(systemd, "WATCHDOG=1")
            daemon.send_signal(signal.SIGHUP)
            assert "RELOADING=1" in _until(systemd, "READY=1")
            daemon.send_signal(signal.SIGTERM)
            _until(systemd, "STOPPING=1")
            assert daemon.wait(PATIENCE) == 0
        finally:
            daemon.kill()
            daemon.communicate()
    assert "STOPPING=1" not in told


def _until(systemd: socket.socket, message: str) -> list[str]:
    """Return what is told, up to and with `message`."""
    told: list[str] = []
    while message not in told:
        told += systemd.recv(4096).decode().splitlines()
    return told
