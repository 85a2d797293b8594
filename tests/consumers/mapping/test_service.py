"""What a user does with mappings, in each database, and what events make of it."""

from typing import Any

import pytest

from consumers.errors import MappingRejected
from consumers.mapping.linking import LinkRequest
from consumers.mapping.model import OwnCategory
from consumers.mapping.own_categories import Columns, read_own_categories
from consumers.mapping.service import MappingService
from consumers.mapping.sql_table import read_table
from consumers.sql.database import open_database
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
from tests.consumers.pretend_publisher import TIME, row
from tests.support.databases import execute, fetch

EVERYTHING = "SELECT * FROM mappings ORDER BY own_key"


async def decided(to: str) -> list[tuple[Any, ...]]:
    """Return what the user decided, as it is stored."""
    query = "SELECT own_key, category_id, category_name, category_parent_id, category_path, "
    return sorted(await fetch(to, query + "decided_at FROM mappings"), key=str)


async def test_a_mapping_and_its_states(database_url: str) -> None:
    """Renamed, moved, no leaf, removed and back: each has its state, and no event a decision."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(mugs="Mugs", toys="Toys", rest="Rest")
        assert await it.states() == dict.fromkeys(["mugs", "rest", "toys"], "unlinked")
        await it.link(mugs="2", toys="4")
        stored = await decided(database_url)
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
        assert await decided(database_url) == stored


async def test_what_does_not_concern_a_mapping(database_url: str) -> None:
    """A parent's new name and another's removal change nothing, not even since when."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(mugs="Mugs")
        [before] = await it.link(mugs="2")
        await it.go_to(HOME | {"local_name": "House"}, MUGS, TOYS)
        assert await it.mapping("mugs") == before
        await it.jump_to(HOME, MUGS)
        assert await it.mapping("mugs") == before


async def test_a_resync_comes_to_the_same(database_url: str) -> None:
    """It judges all that is linked; `since` is the commit's time, and no event's id."""
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


async def test_accepting_a_review(database_url: str) -> None:
    """Linking with the same category again takes it as it is now."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(mugs="Mugs")
        await it.link(mugs="2")
        await it.go_to(*changed(MUGS, local_name="Jugs", parent_id="4"), row("9", "New"))
        [after] = await it.link(mugs="2")
        assert (await it.mapping("mugs")) == after
        assert after.linked is not None
        assert after.linked[:4] == ("2", "Jugs", "4", "Toys > Jugs")
        assert after.status.since == after.linked.decided_at
        [again] = await it.link(mugs="2")
        assert again.status == after.status


async def test_what_cannot_be_linked(database_url: str) -> None:
    """Unknown, no leaf, taken, linked already: all of it is told, and nothing is written."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A", b="B", c="C")
        await it.link(a="2")
        before = await fetch(database_url, EVERYTHING)
        with pytest.raises(MappingRejected) as caught:
            await it.link(a="3", b="2", c="1", d="4", e="99")
        assert str(caught.value).splitlines() == [
            "nothing was linked:",
            "key 'a' is linked with '2' ('Mugs', valid): use --replace to change that",
            "category '1' ('Home') is not a leaf: choose one below it",
            "no category of yours has key 'd': import it first",
            "no category of yours has key 'e': import it first",
            "there is no category '99'",
        ]
        with pytest.raises(MappingRejected, match="'2' is linked with key 'a': unlink that first"):
            await it.link(b="2", c="4")
        with pytest.raises(MappingRejected, match="'4' is linked with key 'b'"):
            await it.link(b="4", c="4")
        with pytest.raises(MappingRejected, match="line 3: key 'b' occurs twice"):
            await it.service.link(
                [LinkRequest("b", "3", "line 2: "), LinkRequest("b", "4", "line 3: ")]
            )
        assert await fetch(database_url, EVERYTHING) == before


async def test_linking_anew(database_url: str) -> None:
    """A broken one may be linked anew at once, another with `replace`; two may change places."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A", b="B")
        await it.link(a="2", b="3")
        await it.link(replace=True, a="3", b="2")
        assert [line[:2] for line in await decided(database_url)] == [("a", "3"), ("b", "2")]
        await it.go_to(*without(CUPS))
        await it.link(a="4")
        assert await it.states() == {"a": "valid", "b": "valid"}


async def test_one_to_one(database_url: str) -> None:
    """The database itself refuses a second link with a category."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A", b="B")
        await it.link(a="2")
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await execute(database_url, "UPDATE mappings SET category_id = '2' WHERE own_key = 'b'")


async def test_importing_again(database_url: str) -> None:
    """Names and paths are new, links stay, and so do keys that are not there any more."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A", b="B", A="other")
        [before] = await it.link(a="2")
        new = [
            OwnCategory("a", "Apples", "Fruit > Apples"),
            OwnCategory("b", "B", "B"),
            OwnCategory("é  ", "  x ", "=y"),
        ]
        assert await it.service.import_categories(new) == (1, 1, 1, 1)
        snapshot = await it.service.read_all()
        assert snapshot.mappings["a"] == before._replace(own=new[0])
        assert snapshot.mappings["é  "].own == new[2]
        assert list(snapshot.mappings) == ["A", "a", "b", "é  "]


async def test_unlinking_and_removing(database_url: str) -> None:
    """All or nothing; who is unlinked can be linked, who is removed is gone."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A", b="B")
        await it.link(a="2", b="3")
        for refused in (it.service.unlink, it.service.remove):
            with pytest.raises(MappingRejected, match="no category of yours has key 'x'"):
                await refused(["a", "x"])
        await it.service.unlink(["a", "a"])
        assert (await decided(database_url))[0] == ("a", *[None] * 5)
        await it.service.remove(["b"])
        assert await it.states() == {"a": "unlinked"}
        await it.go_to(*without(MUGS))
        assert await it.states() == {"a": "unlinked"}
        await it.link(a="3")


async def test_catalogs_beside_each_other(database_url: str) -> None:
    """The same keys and ids in another catalog are others."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A")
        await it.link(a="2")
    query = "SELECT DISTINCT catalog FROM mappings"
    assert await fetch(database_url, query) == [("us",)]
    for table in ("mappings", "map_categories", "checkpoints"):
        await execute(database_url, f"UPDATE {table} SET catalog = 'uk'")  # noqa: S608
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A")
        await it.link(a="2")
        await it.go_to(*without(MUGS))
        await it.service.remove(["a"])
    assert await fetch(database_url, "SELECT catalog, state FROM mappings") == [("uk", "valid")]


async def test_without_a_copy(database_url: str) -> None:
    """Looking and linking say what to run first; importing, unlinking and removing work."""
    async with open_mapping_catalog(database_url) as it:
        await it.import_own(a="A")
        for refused in (it.service.read_all(), it.link(a="2")):
            with pytest.raises(MappingRejected, match="run `category-consumer map watch us --to"):
                await refused
        await it.service.unlink(["a"])
        await it.service.remove(["a"])
    assert await fetch(database_url, "SELECT * FROM mappings") == []


async def test_a_database_without_tables(database_url: str) -> None:
    """Looking at it says what to run first."""
    async with open_database(database_url) as opened:
        with pytest.raises(MappingRejected, match="map watch us --to … --once` first"):
            await MappingService(opened, "us").read_all()


@pytest.fixture
async def shop(database_url: str) -> str:
    """Give a database that has a table and a view of the user's own."""
    await execute(
        database_url,
        "CREATE TABLE shelf (no INTEGER, title VARCHAR(20), way VARCHAR(40), extra REAL)",
    )
    await execute(database_url, "INSERT INTO shelf VALUES (7, 'Mugs', 'Home/Mugs', 1.5)")
    await execute(database_url, "INSERT INTO shelf VALUES (8, NULL, 'Toys', 1.5)")
    view = 'CREATE VIEW "Own View" AS SELECT no AS "key", title AS name, way FROM shelf'
    await execute(database_url, view if "mysql" not in database_url else view.replace('"', "`"))
    return database_url


async def test_own_categories_in_a_table(shop: str) -> None:
    """A table or a view of the same database does as well as a file; numbers become text."""
    columns = Columns("no", "title", "way")
    async with open_database(shop) as opened:
        found = read_own_categories(await read_table(opened, "shelf", columns), columns, "/")
        assert found == [OwnCategory("7", "Mugs", "Home > Mugs"), OwnCategory("8", "Toys", "Toys")]
        view = await read_table(opened, "Own View", Columns(path="way"))
        assert [cells["name"] for _, cells in view.rows] == ["Mugs", ""]
        assert read_own_categories(view, Columns(path="way"), "/") == found


@pytest.mark.parametrize(
    ("name", "columns", "told"),
    [
        ("nope", Columns(), "this database has no table or view 'nope'"),
        ("x.shelf", Columns(), "this database has no table or view 'x.shelf'"),
        ("shelf", Columns(), "columns: 'no', 'title', 'way', 'extra'"),
        ("shelf", Columns("extra", "title"), "row 1: column 'extra' contains float"),
        ("shelf", Columns("no", "title"), "row 2: it has neither name nor path ('8')"),
    ],
)
async def test_tables_that_do_not_do(shop: str, name: str, columns: Columns, told: str) -> None:
    """What is missing or no text is told."""
    async with open_database(shop) as opened:
        with pytest.raises(MappingRejected) as caught:
            read_own_categories(await read_table(opened, name, columns), columns)
    assert told in str(caught.value)
