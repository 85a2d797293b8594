"""1. A poll asks the source and writes what has changed.

A catalog is one category tree. Its state is a Redis hash, with `meta` beside it.
"""

from typing import Any

import pytest

from publisher.polling.poll import Catalog, poll_once
from tests.support.raw_keys import read_keys
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree

HOME = tree(("1", "0", "Home", False), ("2", "1", "Garden", True))


@pytest.mark.contract("5.1")
async def test_poll(catalog: Catalog, source: ScriptedSource, real_client: Any) -> None:
    """The first poll imports the tree.

    One commit writes state, events and meta together.
    """
    source.set_tree(HOME)
    result = await poll_once(catalog)
    assert (result.outcome, result.counts.added) == ("changed", 2)

    keys = await read_keys(real_client)
    assert keys.rows["2"] == {"id": "2", "parent_id": "1", "local_name": "Garden", "is_leaf": True}
    assert [event["type"] for event in keys.events] == ["category.added", "category.added"]
    assert keys.meta["count"] == "2"
    assert keys.meta["sequence"] == "2"  # that of the last event
    assert keys.meta["offset"] == keys.offsets[-1]  # a consumer reads on from here


@pytest.mark.contract("5.4")
async def test_nothing_changed(catalog: Catalog, source: ScriptedSource, real_client: Any) -> None:
    """A poll that finds the same tree writes nothing to these keys."""
    source.set_tree(HOME)
    await poll_once(catalog)
    before = await read_keys(real_client)
    assert (await poll_once(catalog)).outcome == "unchanged"
    assert await read_keys(real_client) == before
