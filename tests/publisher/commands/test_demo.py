"""`category-publisher demo`: it stops in order, and uses nothing of the user's."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.support.processes import PUBLISHER, call, start
from tests.support.waiting import PATIENCE, eventually_now


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopping_leaves_no_process(folder: Path, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM or a closed terminal stops everything, with exit code 0."""
    process = start(PUBLISHER, "demo", cwd=folder)
    me = psutil.Process(process.pid)
    started = eventually_now(lambda: _child_pids(me))
    process.send_signal(number)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert not [child for child in started if psutil.pid_exists(child)]


def test_the_users_settings_are_ignored(folder: Path) -> None:
    """Neither a broken publisher.toml nor the user's Redis is used."""
    (folder / "publisher.toml").write_text("no TOML")
    redis_of_the_user = {"CATEGORY_PUBLISHER_REDIS_URL": "redis://127.0.0.1:1/0"}
    words = ("demo", "--rounds", "1", "--every", "0.1")
    assert call(PUBLISHER, *words, cwd=folder, **redis_of_the_user).returncode == 0


def _child_pids(process: psutil.Process) -> list[int]:
    """Return the process ids of server and consumer once both run."""
    children = [child.pid for child in process.children(recursive=True)]
    return children if len(children) > 1 else []
