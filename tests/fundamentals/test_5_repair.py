"""5. A poll finds damaged keys and repairs them, under a new epoch."""

from typing import Any

import pytest

from consumers.api import CatalogClient, NoState
from publisher.polling.poll import Catalog, poll_once
from tests.support.raw_keys import check_consistent, read_keys
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree


@pytest.mark.contract("5.2")
@pytest.mark.contract("5.7")
async def test_repair(
    catalog: Catalog, source: ScriptedSource, real_client: Any, reading: CatalogClient
) -> None:
    """Consumers reject the state until a poll has repaired it.

    A row is deleted by hand.
    """
    source.set_tree(tree(("1", "0", "Home", False), ("2", "1", "Garden", True)))
    await poll_once(catalog)
    before = await read_keys(real_client)
    await real_client.hdel("catalog:{us}:categories", "2")
    with pytest.raises(NoState):  # the rows do not have the digest of meta: nobody takes them
        await reading.snapshot()

    result = await poll_once(catalog)
    assert result.is_repaired
    after = await read_keys(real_client)
    check_consistent(after)
    assert after.rows == before.rows
    # the history that the damaged rows broke is over: a new epoch, which begins with the repair
    assert after.meta["epoch"] != before.meta["epoch"]
    assert after.events[-1]["subject"] == "2"
    assert after.events[-1]["sequence"] == "00000000000000000001"
