"""Owners of leases, and which of them are dead."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from publisher.polling import lease_owner
from publisher.polling.lease_owner import is_alive, new_owner


def test_only_the_same_machine_knows_that_an_owner_is_dead() -> None:
    """An owner in another namespace of process ids counts as alive."""
    owner = new_owner()
    host, pid, space, _ = owner.rsplit(":", 3)
    assert is_alive(owner)
    assert is_alive(f"{host}:{os.getppid()}:{space}:12345678")
    assert is_alive(f"{host}:{2**22 + 1}:ffffffff:12345678")
    assert is_alive("somebody")
    assert not is_alive(f"{host}:{pid}:{space}:12345678")
    assert not is_alive(f"{host}:{2**22 + 1}:{space}:12345678")
    assert not is_alive("")


@pytest.mark.parametrize("pid", ["", "-1", "x", "1.5", str(2**31), str(2**64)])
def test_an_owner_with_an_absurd_process_id_counts_as_alive(pid: str) -> None:
    """Somebody else wrote it, and nobody can check it; it expires."""
    host, _, space, _ = new_owner().rsplit(":", 3)
    assert is_alive(f"{host}:{pid}:{space}:12345678")


def test_an_owner_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system says so by refusing the signal."""

    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    host, _, space, _ = new_owner().rsplit(":", 3)
    monkeypatch.setattr(os, "kill", refuse)
    assert is_alive(f"{host}:1:{space}:12345678")


def test_an_owner_names_this_run() -> None:
    """Two runs in one process are two owners."""
    one, two = new_owner(), new_owner()
    assert one.rpartition(":")[0] == two.rpartition(":")[0]
    assert one.startswith(f"{socket.gethostname()}:{os.getpid()}:")
    assert one != two


@pytest.fixture
def _unknown_space(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """Hide the id of the machine's boot, as a system other than Linux does."""
    lease_owner._pid_space.cache_clear()
    monkeypatch.setattr(lease_owner, "BOOT", folder / "missing")
    yield
    lease_owner._pid_space.cache_clear()


@pytest.mark.usefixtures("_unknown_space")
def test_where_the_machine_is_unknown_all_others_are_alive() -> None:
    """The space is random, the same for the whole process, and never empty."""
    host, pid, space, run = new_owner().rsplit(":", 3)
    assert is_alive(f"{host}:{pid}:{space}:{run}")
    assert not is_alive(f"{host}:{pid}:{space}:12345678")
    lease_owner._pid_space.cache_clear()
    assert is_alive(f"{host}:{2**22 + 1}:{space}:12345678")
    assert is_alive(f"{host}:{pid}::12345678")
