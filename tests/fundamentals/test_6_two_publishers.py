"""6. Two publishers poll one catalog at once: only one commit succeeds.

The other commit is refused. There is no lock. A poll notes the position before it asks the source,
and the commit expects that position (optimistic locking).
"""

from typing import Any

import pytest

from publisher.errors import RaceLost
from publisher.polling.poll import Catalog, poll_once
from publisher.state.store import Store
from tests.support.catalogs import make_catalog
from tests.support.raw_keys import check_consistent, read_keys
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree


@pytest.mark.contract("5.3")
async def test_two_publishers(catalog: Catalog, source: ScriptedSource, real_client: Any) -> None:
    """The fast publisher commits a newer tree while the slow one waits.

    The slow one waits for its source's answer.
    """
    fast_source = ScriptedSource()
    fast = make_catalog(Store(real_client, "us"), fast_source)
    fast_source.set_tree(tree(("1", "0", "New name", True)))
    source.set_tree(tree(("1", "0", "Old name", True)))
    source.meanwhile = lambda: poll_once(fast)

    with pytest.raises(RaceLost):
        await poll_once(catalog)  # its answer is older than the state now: it is discarded

    keys = await read_keys(real_client)
    check_consistent(keys)
    assert keys.rows["1"]["local_name"] == "New name"
    assert len(keys.events) == 1
