"""The names of a catalog's keys (contract, 2)."""

import pytest
from redis.crc import key_slot

from publisher.state.keys import TYPES, key


@pytest.mark.contract("2")
def test_all_keys_of_a_catalog_are_in_one_slot() -> None:
    """One script may write all keys of a catalog in a Cluster."""
    assert key("us", "meta") == "catalog:{us}:meta"
    assert len({key_slot(key("us", name).encode()) for name in TYPES}) == 1
