"""2. An event is a change with its place in history: epoch, sequence and digest."""

from typing import Any

import pytest

from publisher.polling.poll import Catalog, poll_once
from tests.support.contract import digest_of
from tests.support.raw_keys import read_keys
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree


@pytest.mark.contract("3")
async def test_event(catalog: Catalog, source: ScriptedSource, real_client: Any) -> None:
    """A renamed category is one event, which says what it was and what it is."""
    source.set_tree(tree(("1", "0", "Home", True)))
    await poll_once(catalog)
    source.set_tree(tree(("1", "0", "Home & Garden", True)))
    await poll_once(catalog)

    keys = await read_keys(real_client)
    _, event = keys.events
    assert event["type"] == "category.updated"
    assert event["subject"] == "1"
    assert event["data"]["before"]["local_name"] == "Home"
    assert event["data"]["category"]["local_name"] == "Home & Garden"
    assert event["data"]["changed"] == ["local_name"]

    # where it is in history: the second event of this epoch, which led to this very state
    assert event["epoch"] == keys.meta["epoch"]
    assert event["sequence"] == "00000000000000000002"
    assert event["data"]["digest"] == digest_of(keys.rows)
