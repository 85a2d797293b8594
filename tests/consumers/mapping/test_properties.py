"""Properties of stored mappings: their states are always those of the tree."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.contract.model import Category, Event, Snapshot
from consumers.errors import MappingRejected
from consumers.mapping.evaluate import evaluate
from consumers.mapping.linking import LinkRequest
from consumers.mapping.model import LinkedCategory, OwnCategory
from tests.consumers.event_histories import BEGIN, histories
from tests.consumers.mapping.mapping_catalog import MappingCatalog, open_mapping_catalog
from tests.consumers.pretend_publisher import TIME

KEYS = [OwnCategory(key, f"Own {key}", f"Own > {key}") for key in "abcd"]


@pytest.mark.contract("5.8")
@settings(max_examples=20)
@given(histories(), st.data())
def test_states_are_those_of_the_tree(events: list[Event], data: st.DataObject) -> None:
    """After any batches, links and resyncs states are right and links unchanged."""
    folder = Path(tempfile.mkdtemp(prefix="cp-"))
    try:
        asyncio.run(apply_and_link(f"sqlite:///{folder / 'm'}", events, data))
    finally:
        shutil.rmtree(folder)


async def apply_and_link(to: str, events: list[Event], data: st.DataObject) -> None:
    """Apply some of `events`, link something, and so on, and check each time."""
    async with open_mapping_catalog(to) as it:
        await it.projection.reset(Snapshot({}, TIME), BEGIN)
        await it.service.import_categories(KEYS)
        rows: dict[str, Category] = {}
        decided: dict[str, LinkedCategory] = {}
        while events:
            count = data.draw(st.integers(1, len(events)))
            batch, events = events[:count], events[count:]
            for event in batch:
                rows.pop(event.category.id, None)
                if event.type != "removed":
                    rows[event.category.id] = event.category
            if data.draw(st.booleans()):
                await it.projection.apply(batch, batch[-1].checkpoint)
            else:
                await it.projection.reset(Snapshot(rows, TIME), batch[-1].checkpoint)
            await check(it, rows, decided)
            decided |= await link_at_random(it, data, [row.id for row in rows.values()])
            await check(it, rows, decided)


async def link_at_random(
    it: MappingCatalog, data: st.DataObject, ids: list[str]
) -> dict[str, LinkedCategory]:
    """Request a link of any key with any category; return the new link by key."""
    if not ids:
        return {}
    key, id_ = data.draw(st.sampled_from("abcd")), data.draw(st.sampled_from(ids))
    try:
        made = await it.service.link([LinkRequest(key, id_)], replace=data.draw(st.booleans()))
    except MappingRejected:
        return {}
    return {each.own.key: each.linked for each in made if each.linked}


async def check(
    it: MappingCatalog, rows: dict[str, Category], decided: dict[str, LinkedCategory]
) -> None:
    """Check that each state is that of `rows`, and each link as in `decided`."""
    snapshot = await it.service.read_all()
    assert snapshot.rows == rows
    decisions = {key: each.linked for key, each in snapshot.mappings.items() if each.linked}
    assert decisions == decided
    for mapping in snapshot.mappings.values():
        row = rows.get(mapping.linked.id) if mapping.linked else None
        assert mapping.status[:2] == evaluate(mapping.linked, row)
