"""`category-publisher demo`: it runs everything, proves the copy, and leaves nothing behind."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.support.processes import PUBLISHER, call, start
from tests.support.waiting import eventually_now


def test_four_rounds(folder: Path) -> None:
    """It ends by itself with exit code 0 after changes that both sides agree on."""
    done = call(PUBLISHER, "demo", "--rounds", "4", "--every", "0.2", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "2700/2700" in done.stdout
    for number in range(1, 5):
        assert f"Round {number}" in done.stdout
    assert done.stdout.count("both digests are") == 5
    assert "`category-consumer verify` agrees" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopping_leaves_no_process(folder: Path, number: signal.Signals) -> None:
    """Ctrl-C, a kill or a closed terminal ends server, consumer and sandbox; exit code 0."""
    process = start(PUBLISHER, "demo", cwd=folder)
    me = psutil.Process(process.pid)
    started = eventually_now(lambda: _all_of(me))
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert not [child for child in started if psutil.pid_exists(child)]


def test_the_users_settings_do_not_get_in(folder: Path) -> None:
    """Neither a broken publisher.toml nor a Redis of the user's is touched."""
    (folder / "publisher.toml").write_text("rubbish")
    redis_of_the_user = {"CATEGORY_PUBLISHER_REDIS_URL": "redis://127.0.0.1:1/0"}
    words = ("demo", "--rounds", "1", "--every", "0.1")
    assert call(PUBLISHER, *words, cwd=folder, **redis_of_the_user).returncode == 0


def _all_of(process: psutil.Process) -> list[int]:
    """Return the ids of server and consumer once both run."""
    children = [child.pid for child in process.children(recursive=True)]
    return children if len(children) > 1 else []
