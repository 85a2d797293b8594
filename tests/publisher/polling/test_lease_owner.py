"""Owners of leases, and which of them are dead."""

import os

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
