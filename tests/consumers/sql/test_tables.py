"""The tables and views of a mirror (contract, 8)."""

import sqlite3
from contextlib import closing

import pytest

from consumers.errors import StoreError
from tests.consumers.mirrors import (
    execute,
    open_mirror,
)
from tests.consumers.pretend_publisher import row
from tests.consumers.sql.snapshots import checkpoint_of, snapshot
from tests.support.messages import whole

HOME, GARDEN, ROSES = row("1", "Home"), row("2", "Garden", "1"), row("3", "Roses", "2")


@pytest.mark.contract("8")
async def test_paths(to: str) -> None:
    """The view shows each category's depth from 1 and its names from the root."""
    async with open_mirror(to) as mirror:
        await mirror.load()
        state = snapshot(ROSES, HOME, GARDEN, row("9", "Toys"))
        await mirror.reset(state, checkpoint_of(state))
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        rows = file.execute("SELECT id, depth, path FROM category_paths WHERE catalog = 'us'")
        assert sorted(rows) == [
            ("1", 1, "Home"),
            ("2", 2, "Home > Garden"),
            ("3", 3, "Home > Garden > Roses"),
            ("9", 1, "Toys"),
        ]


async def test_paths_of_a_large_tree_are_quick(to: str) -> None:
    """The view uses an index and does not scan the table for each category."""
    state = snapshot(*(row(str(id_), "Name", str(id_ // 7)) for id_ in range(1, 20_001)))
    async with open_mirror(to) as mirror:
        await mirror.load()
        await mirror.reset(state, checkpoint_of(state))
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        file.set_progress_handler(lambda: 1, 50_000_000)  # a scan for each takes far more steps
        assert file.execute("SELECT count(*) FROM category_paths").fetchone() == (20_000,)


async def test_tables_of_another_program(to: str) -> None:
    """If a table of that name has other columns, nothing is created."""
    execute(to, "CREATE TABLE categories (id INTEGER, title TEXT)")
    async with open_mirror(to) as mirror:
        with pytest.raises(
            StoreError,
            match=whole(
                "<any>/copy.sqlite: there is a table categories, and it is not this program's: "
                "name another database"
            ),
        ):
            await mirror.load()
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        assert file.execute("SELECT name FROM sqlite_master").fetchall() == [("categories",)]


async def test_a_missing_index(to: str) -> None:
    """A mirror creates it at its start: a kill may have prevented it before."""
    async with open_mirror(to) as mirror:
        await mirror.load()
        execute(to, "DROP INDEX categories_by_name")
        await mirror.load()
    with closing(sqlite3.connect(to.removeprefix("sqlite:///"))) as file:
        indexes = file.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
    assert {("categories_by_name",), ("categories_by_parent",)} <= set(indexes)
