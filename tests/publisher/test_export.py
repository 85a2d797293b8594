"""A catalog's state as JSON and CSV."""

import json

import pytest
import redis.asyncio

from publisher.errors import NoState
from publisher.export import export_state
from publisher.polling.poll import Catalog, poll_once
from tests.support.messages import whole
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree, wide


async def test_top_down_then_by_id(catalog: Catalog, source: ScriptedSource) -> None:
    """Parents come before children, for any order in the source."""
    source.set_tree(tree(("1", "3", "a, b", True), ("3", "0", "C", False), ("2", "0", "D", True)))
    await poll_once(catalog)
    text = await export_state(catalog.store, "json")
    assert [row["id"] for row in json.loads(text)] == ["2", "3", "1"]
    assert text.startswith('[\n{"id":"2","parent_id":"0","local_name":"D","is_leaf":true},\n')
    assert (await export_state(catalog.store, "csv")).splitlines() == [
        "id,parent_id,local_name,is_leaf",
        "2,0,D,true",
        "3,0,C,false",
        '1,3,"a, b",true',
    ]


async def test_no_state(
    catalog: Catalog, source: ScriptedSource, client: redis.asyncio.Redis
) -> None:
    """Neither a missing nor a damaged state is exported; the error says which it is."""
    with pytest.raises(NoState, match=whole("catalog us: nothing to export: no state")):
        await export_state(catalog.store, "json")
    source.set_tree(wide(3))
    await poll_once(catalog)
    await client.hdel("catalog:{us}:categories", "1")
    with pytest.raises(
        NoState,
        match=whole(
            "catalog us: nothing to export: its state is damaged; the next poll repairs it"
        ),
    ):
        await export_state(catalog.store, "json")
