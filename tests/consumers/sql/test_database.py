"""The databases that `--to` may name, and the errors of wrong URLs."""

import json
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlalchemy.schema import CreateTable

from consumers.contract.model import Category, Checkpoint, Snapshot
from consumers.errors import StoreError
from consumers.sql import rows, tables
from consumers.sql.database import open_database
from consumers.sql.mirror import Mirror
from consumers.sql.rows import RowsTable
from plumbing.errors import ConfigError
from tests.consumers.pretend_publisher import TIME
from tests.support.databases import MariaDb, Postgres, execute
from tests.support.messages import whole

LONG = Snapshot({"x" * 300: Category("x" * 300, "0", "Name", is_leaf=True)}, TIME)


def names(folder: Path) -> list[str]:
    """Return the names of the files in `folder`."""
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("categories.db", "not a database URL"),
        ("", "not a database URL"),
        ("postgresql://me:hunter2@host:port/db", "not a database URL"),
        ("sqlite://", "needs a file"),
        ("sqlite:///", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite://categories.db", "needs a file"),
        ("sqlite+pysqlite:///categories.db", "no database of kind sqlite"),
        ("postgresql://me:hunter2@host", "the URL names no database"),
        (
            "postgresql://me:hunter2@host/db?sslmod=hunter2",
            "option 'sslmod' of postgresql is unknown; known: host",
        ),
        ("sqlite:///a.db?moode=ro", "option 'moode' of sqlite is unknown"),
        ("sqlite:///a.db?timeout=soon", "an option's value is invalid"),
        ("sqlite:///file:a?mode=memory&uri=true", "needs a file"),
        ("postgresql://me:hunter2@host:99999/db", "there is no port 99999"),
        (
            "postgresql://host/db?prepared_statement_cache_size=many",
            "an option's value is invalid",
        ),
        ("sqlite:///\udcff.db", "not a database URL"),
        ("oracle://me:hunter2@host/db", "no database of kind oracle"),
        ("postgresql+psycopg2://me:hunter2@host/db", "no database of kind postgresql"),
    ],
)
async def test_a_wrong_url(url: str, expected: str) -> None:
    """A wrong URL is an error of the command line, and its password is not repeated."""
    with pytest.raises(ConfigError, match=f"^--to: .*{expected}") as caught:
        async with open_database(url):
            pass
    assert caught.value.exit_code == 2
    assert "hunter2" not in str(caught.value)


WRONG_URLS: dict[str, str] = json.loads(
    Path(__file__).with_name("wrong_urls.json").read_text("utf-8")
)


@pytest.mark.parametrize(("url", "message"), WRONG_URLS.items())
async def test_the_whole_message_about_a_wrong_url(url: str, message: str) -> None:
    """It says what is wrong, and what would be right."""
    with pytest.raises(ConfigError) as caught:
        async with open_database(url):
            pass
    assert str(caught.value) == message


@pytest.mark.parametrize("missing", ["nope/copy.sqlite", "."])
async def test_a_path_where_no_file_can_be(folder: Path, missing: str) -> None:
    """A missing folder, or a folder instead of a file, is an error in one line."""
    with pytest.raises(
        StoreError,
        match=whole(
            "<any>: unable to open database file (does its folder exist, and may this user "
            "write there?)"
        ),
    ):
        async with open_database(f"sqlite:///{folder / missing}"):
            pass


async def test_a_file_that_must_exist(folder: Path) -> None:
    """A file that is only read is not created, whatever its name."""
    for name in ("copy.sqlite", "a%20b?c.sqlite"):
        with pytest.raises(StoreError, match=whole("<any>: there is no such file")):
            async with open_database(f"sqlite:///{folder / name}", must_exist=True):
                pass
    assert names(folder) == []


async def test_a_name_with_odd_characters(folder: Path) -> None:
    """They are percent-encoded in a URL, for writing and for reading."""
    url = f"sqlite:///{folder}/my%20copy%20%25%231%3F.sqlite"
    async with open_database(url) as opened:
        await opened.create(tables.categories)
    async with open_database(url, must_exist=True) as opened, opened.reading() as connection:
        assert await RowsTable(tables.categories, "us").read(connection) == {}
    assert "my copy %#1?.sqlite" in names(folder)


@pytest.mark.parametrize("name", ["sqlite", "postgresql", "mysql"])
def test_the_statements_of_other_databases(name: str) -> None:
    """The tables and the upsert can be written in each dialect."""
    dialect = make_url(f"{name}://").get_dialect()()
    for table in (tables.categories, tables.checkpoints):
        assert str(CreateTable(table).compile(dialect=dialect))
    statement = rows.upsert(tables.categories, dialect)
    values = statement.partition("VALUES")[2].partition("ON")[0]
    assert values.count("%") + values.count("?") == 5


async def test_a_value_that_is_too_long_is_not_cut(mariadb: MariaDb) -> None:
    """MySQL rejects it, whatever its own mode is: a silent difference would be worse."""
    url = await mariadb.new()
    await execute(url, "SET GLOBAL sql_mode = ''")
    try:
        async with open_database(url) as opened:
            mirror = Mirror(opened, "us")
            await mirror.load()
            with pytest.raises(
                StoreError,
                match=whole("<any>: Data too long for column 'id' at row 1 (error 1406)"),
            ):
                await mirror.reset(LONG, Checkpoint("9f3c1a2b", 1, "1-0", "0" * 16))
    finally:
        await execute(url, "SET GLOBAL sql_mode = DEFAULT")
        await mariadb.give_back(url)


async def test_long_ids_in_postgresql(postgres: Postgres) -> None:
    """PostgreSQL ignores the length that MySQL needs."""
    url = await postgres.new()
    async with open_database(url) as opened:
        mirror = Mirror(opened, "us")
        await mirror.load()
        await mirror.reset(LONG, Checkpoint("9f3c1a2b", 1, "1-0", "0" * 16))
        assert (await mirror.read())[1] == LONG.rows
    await postgres.give_back(url)
