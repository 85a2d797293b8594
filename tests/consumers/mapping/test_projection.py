"""`MapProjection` in each database: the state of each mapping follows the catalog."""

from typing import Any

from tests.consumers.mapping.mapping_catalog import (
    CUPS,
    HOME,
    MUGS,
    TOYS,
    TREE,
    changed,
    open_mapping_catalog,
    without,
)
from tests.consumers.pretend_publisher import TIME
from tests.support.databases import fetch


async def stored_links(to: str) -> list[tuple[Any, ...]]:
    """Return the stored links: key and all columns that only the user changes."""
    query = "SELECT own_key, category_id, category_name, category_parent_id, category_path, "
    return sorted(await fetch(to, query + "decided_at FROM mappings"), key=str)


async def test_a_mapping_and_its_states(database_url: str) -> None:
    """Each change of the linked category gives its state; no event changes the link."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(mugs="Mugs", toys="Toys", rest="Rest")
        assert await it.states() == dict.fromkeys(["mugs", "rest", "toys"], "unlinked")
        await it.link(mugs="2", toys="4")
        stored = await stored_links(database_url)
        assert stored[0][:5] == ("mugs", "2", "Mugs", "1", "Home > Mugs")
        assert stored[1] == ("rest", None, None, None, None, None)
        [event] = await it.go_to(*changed(MUGS, local_name="Beer mugs"))
        mapping = await it.mapping("mugs")
        assert mapping.status == (
            *("review", "renamed from 'Mugs' to 'Beer mugs'"),
            *(TIME, event.checkpoint.position),
        )
        await it.go_to(*without(MUGS))
        assert (await it.states())["mugs"] == "broken: removed"
        await it.go_to(*changed(MUGS, is_leaf=False))
        assert (await it.states())["mugs"] == "broken: no longer a leaf"
        await it.go_to(*changed(MUGS, parent_id="0"))
        assert (await it.states())["mugs"] == "review: moved from parent '1' to '0'"
        await it.go_to(*TREE)
        assert await it.states() == {"mugs": "valid", "rest": "unlinked", "toys": "valid"}
        assert await stored_links(database_url) == stored


async def test_changes_of_other_categories(database_url: str) -> None:
    """Changes of other categories change nothing, not even `since`."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(mugs="Mugs")
        [before] = await it.link(mugs="2")
        await it.go_to(HOME | {"local_name": "House"}, MUGS, TOYS)
        assert await it.mapping("mugs") == before
        await it.jump_to(HOME, MUGS)
        assert await it.mapping("mugs") == before


async def test_a_resync(database_url: str) -> None:
    """A resync evaluates all links; `since` is the commit's time, without an event."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A", b="B", c="C")
        await it.link(a="2", b="3", c="4")
        renamed, moved = CUPS | {"local_name": "Tea cups"}, TOYS | {"parent_id": "1"}
        await it.jump_to(HOME, renamed, moved)
        assert await it.states() == {
            "a": "broken: removed",
            "b": "review: renamed from 'Cups' to 'Tea cups'",
            "c": "review: moved from parent '0' to '1'",
        }
        assert (await it.mapping("a")).status[2:] == (TIME, None)
