"""Laws of the stored mappings: the states are those of the tree, whatever led to it."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.contract.model import Category, Event, Snapshot
from consumers.errors import MapRefused
from consumers.mapping.evaluate import judge
from consumers.mapping.linking import Wish
from consumers.mapping.model import Decision, Own
from tests.consumers.mapping.mapping_catalog import Watched, watched
from tests.consumers.pretend_publisher import TIME
from tests.consumers.trees import BEGIN, histories

KEYS = [Own(key, f"Own {key}", f"Own > {key}") for key in "abcd"]


@settings(max_examples=20)
@given(histories(), st.data())
def test_states_are_those_of_the_tree(events: list[Event], data: st.DataObject) -> None:
    """After events in any batches, links and resyncs, each state is what is judged from scratch.

    And what the user decided is as it was when they did.
    """
    folder = Path(tempfile.mkdtemp(prefix="cp-"))
    try:
        asyncio.run(play(f"sqlite:///{folder / 'm'}", events, data))
    finally:
        shutil.rmtree(folder)


async def play(to: str, events: list[Event], data: st.DataObject) -> None:
    """Let some of `events` happen, then someone link, and so on, and look each time."""
    async with watched(to) as it:
        await it.projection.reset(Snapshot({}, TIME), BEGIN)
        await it.desk.bring(KEYS)
        rows: dict[str, Category] = {}
        decided: dict[str, Decision] = {}
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
            decided |= await linked(it, data, [row.id for row in rows.values()])
            await check(it, rows, decided)


async def linked(it: Watched, data: st.DataObject, ids: list[str]) -> dict[str, Decision]:
    """Try to link some own category with some category, and return what was decided then."""
    if not ids:
        return {}
    key, id_ = data.draw(st.sampled_from("abcd")), data.draw(st.sampled_from(ids))
    try:
        made = await it.desk.link([Wish(key, id_)], replace=data.draw(st.booleans()))
    except MapRefused:
        return {}
    return {each.own.key: each.decision for each in made if each.decision}


async def check(it: Watched, rows: dict[str, Category], decided: dict[str, Decision]) -> None:
    """Assert that the mappings say what is to be said of `rows`, and `decided` is kept."""
    atlas = await it.desk.look()
    assert atlas.rows == rows
    decisions = {key: each.decision for key, each in atlas.mappings.items() if each.decision}
    assert decisions == decided
    for mapping in atlas.mappings.values():
        row = rows.get(mapping.decision.id) if mapping.decision else None
        assert mapping.status[:2] == judge(mapping.decision, row)
