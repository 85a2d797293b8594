"""Own categories from a table or view, in each database."""

import pytest

from consumers.errors import MappingRejected
from consumers.mapping.model import OwnCategory
from consumers.mapping.own_categories import Columns, read_own_categories
from consumers.mapping.sql_table import read_table
from consumers.sql.database import open_database
from tests.support.databases import execute


@pytest.fixture
async def shop(database_url: str) -> str:
    """Return the URL of a database with a table and a view of the user."""
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
    """A table or a view of the same database is read like a file; numbers become text."""
    columns = Columns("no", "title", "way")
    async with open_database(shop) as opened:
        found = read_own_categories(await read_table(opened, "shelf", columns), columns, "/")
        assert found == [OwnCategory("7", "Mugs", "Home > Mugs"), OwnCategory("8", "Toys", "Toys")]
        view = await read_table(opened, "Own View", Columns(path="way"))
        assert [cells["name"] for _, cells in view.rows] == ["Mugs", ""]
        assert read_own_categories(view, Columns(path="way"), "/") == found


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("nope", Columns(), "this database has no table or view 'nope'"),
        ("x.shelf", Columns(), "this database has no table or view 'x.shelf'"),
        ("shelf", Columns(), "columns: 'no', 'title', 'way', 'extra'"),
        ("shelf", Columns("extra", "title"), "row 1: column 'extra' contains float"),
        ("shelf", Columns("no", "title"), "row 2: it has neither name nor path ('8')"),
    ],
)
async def test_bad_tables(shop: str, name: str, columns: Columns, message: str) -> None:
    """The error says what is missing or is not text."""
    async with open_database(shop) as opened:
        with pytest.raises(MappingRejected) as caught:
            read_own_categories(await read_table(opened, name, columns), columns)
    assert message in str(caught.value)
