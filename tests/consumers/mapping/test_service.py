"""`MappingService` in each database: import, link, unlink, remove."""

from typing import Any

import pytest
from sqlalchemy import inspect

from consumers.errors import MappingRejected
from consumers.mapping.linking import LinkRequest
from consumers.mapping.model import OwnCategory
from consumers.mapping.service import MappingService
from consumers.sql.database import open_database
from tests.consumers.mapping.mapping_catalog import (
    CUPS,
    MUGS,
    TREE,
    changed,
    open_mapping_catalog,
    without,
)
from tests.consumers.pretend_publisher import row
from tests.support.databases import fetch
from tests.support.messages import whole

EVERYTHING = "SELECT * FROM mappings ORDER BY own_key"


async def stored_links(to: str) -> list[tuple[Any, ...]]:
    """Return the stored links: key and all columns that only the user changes."""
    query = "SELECT own_key, category_id, category_name, category_parent_id, category_path, "
    return sorted(await fetch(to, query + "decided_at FROM mappings"), key=str)


async def test_accepting_a_review(database_url: str) -> None:
    """Linking with the same category again accepts it as it is now."""
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


async def test_links_that_are_rejected(database_url: str) -> None:
    """Unknown, not a leaf, linked already: all are reported, nothing is written."""
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
        with pytest.raises(
            MappingRejected,
            match=whole(
                "nothing was linked:\ncategory '2' is linked with key 'a': unlink that first"
            ),
        ):
            await it.link(b="2", c="4")
        with pytest.raises(
            MappingRejected,
            match=whole(
                "nothing was linked:\ncategory '4' is linked with key 'b': unlink that first"
            ),
        ):
            await it.link(b="4", c="4")
        with pytest.raises(
            MappingRejected, match=whole("nothing was linked:\nline 3: key 'b' occurs twice")
        ):
            await it.service.link(
                [LinkRequest("b", "3", "line 2: "), LinkRequest("b", "4", "line 3: ")]
            )
        assert await fetch(database_url, EVERYTHING) == before


async def test_keys_that_nobody_has(database_url: str) -> None:
    """The error says what was not done, and names each of them; nothing is written."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A")
        await it.link(a="2")
        before = await fetch(database_url, EVERYTHING)
        unknown = ["no category of yours has key 'x'", "no category of yours has key 'y'"]
        for work, done in ((it.service.unlink, "unlinked"), (it.service.remove, "removed")):
            with pytest.raises(MappingRejected) as caught:
                await work(["x", "a", "y"])
            assert str(caught.value).splitlines() == [f"nothing was {done}:", *unknown]
        assert await fetch(database_url, EVERYTHING) == before


async def test_replacing_links(database_url: str) -> None:
    """Links that are not broken are replaced only with `replace`; two may swap."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A", b="B")
        await it.link(a="2", b="3")
        await it.link(replace=True, a="3", b="2")
        assert [line[:2] for line in await stored_links(database_url)] == [("a", "3"), ("b", "2")]
        await it.go_to(*without(CUPS))
        await it.link(a="4")
        assert await it.states() == {"a": "valid", "b": "valid"}


async def test_importing_again(database_url: str) -> None:
    """Names and paths are updated; links and missing keys are kept."""
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
    """All or nothing; an unlinked key can be linked again, a removed one is deleted."""
    async with open_mapping_catalog(database_url, *TREE) as it:
        await it.import_own(a="A", b="B")
        await it.link(a="2", b="3")
        for refused, outcome in ((it.service.unlink, "unlinked"), (it.service.remove, "removed")):
            with pytest.raises(MappingRejected) as caught:
                await refused(["a", "x"])
            assert str(caught.value).splitlines() == [
                f"nothing was {outcome}:",
                "no category of yours has key 'x'",
            ]
        await it.service.unlink(["a", "a"])
        assert (await stored_links(database_url))[0] == ("a", *[None] * 5)
        await it.service.remove(["b"])
        assert await it.states() == {"a": "unlinked"}
        await it.go_to(*without(MUGS))
        assert await it.states() == {"a": "unlinked"}
        await it.link(a="3")


async def test_without_a_copy(database_url: str) -> None:
    """Reading and linking say what to run first; import, unlink and remove work."""
    async with open_mapping_catalog(database_url) as it:
        await it.import_own(a="A")
        for refused in (it.service.read_all(), it.link(a="2")):
            with pytest.raises(
                MappingRejected,
                match=whole(
                    "<any>: there is no copy of catalog us:\nrun `category-consumer map watch "
                    "us --to … --once` first"
                ),
            ):
                await refused
        await it.service.unlink(["a"])
        await it.service.remove(["a"])
    assert await fetch(database_url, "SELECT * FROM mappings") == []


async def test_a_database_without_tables(database_url: str) -> None:
    """Each command names the one to run first, and creates nothing."""
    message = (
        "there is no copy of catalog us:\nrun `category-consumer map watch us --to … --once` first"
    )
    async with open_database(database_url) as opened:
        service = MappingService(opened, "us")
        for refused in (
            service.read_all(),
            service.link([LinkRequest("a", "2")]),
            service.link([], replace=True),
            service.unlink(["a"]),
            service.remove(["a"]),
        ):
            with pytest.raises(MappingRejected) as raised:
                await refused
            assert str(raised.value) == f"{opened.address}: {message}"
        async with opened.reading() as connection:
            assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == []
