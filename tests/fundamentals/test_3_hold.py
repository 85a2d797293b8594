"""3. The guard withholds a snapshot that removes too much.

It is withheld until an approval or a plausible snapshot.
"""

from typing import Any

import pytest

from publisher.polling.poll import Catalog, approve, poll_once
from tests.support.raw_keys import read_keys
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import wide


@pytest.mark.contract("6")
async def test_hold(catalog: Catalog, source: ScriptedSource, real_client: Any) -> None:
    """A snapshot with only 50 of 100 categories left is withheld.

    It looks like a mistake of the source.
    """
    source.set_tree(wide(100))
    await poll_once(catalog)
    source.set_tree(wide(50))
    result = await poll_once(catalog)

    assert result.outcome == "held"
    assert result.hold is not None
    assert result.hold.removed == 50
    assert len((await read_keys(real_client)).rows) == 100  # nothing of it was published

    # `category-publisher approve us DIGEST`: asks the source again, publishes just that snapshot
    result = await approve(catalog, result.hold.digest)
    assert (result.outcome, result.counts.removed) == ("changed", 50)
    assert len((await read_keys(real_client)).rows) == 50


@pytest.mark.contract("6")
async def test_hold_ends(catalog: Catalog, source: ScriptedSource) -> None:
    """If the source returns a plausible snapshot again, the hold ends by itself."""
    source.set_tree(wide(100))
    await poll_once(catalog)
    source.set_tree(wide(50))
    await poll_once(catalog)
    source.set_tree(wide(99))
    assert (await poll_once(catalog)).outcome == "changed"
    assert await catalog.store.read_hold() is None
