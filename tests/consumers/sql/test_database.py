"""What `--to` may be, and what is said of it otherwise."""

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

LONG = Snapshot({"x" * 300: Category("x" * 300, "0", "Name", is_leaf=True)}, TIME)


def names(folder: Path) -> list[str]:
    """Return the names of the files in `folder`."""
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("categories.db", "not a database URL"),
        ("", "not a database URL"),
        ("postgresql://me:hunter2@host:port/db", "not a database URL"),
        ("sqlite://", "needs a file"),
        ("sqlite:///", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite://categories.db", "needs a file"),
        ("sqlite+pysqlite:///categories.db", "no database of kind sqlite"),
        ("postgresql://me:hunter2@host", "which database"),
        ("postgresql://me:hunter2@host/db?sslmod=hunter2", "no option sslmod here, but: host"),
        ("sqlite:///a.db?moode=ro", "sqlite has no option moode"),
        ("sqlite:///a.db?timeout=soon", "an option has no such value"),
        ("sqlite:///file:a?mode=memory&uri=true", "needs a file"),
        ("postgresql://me:hunter2@host:99999/db", "there is no port 99999"),
        ("postgresql://host/db?prepared_statement_cache_size=many", "an option has no such value"),
        ("sqlite:///\udcff.db", "not a database URL"),
        ("oracle://me:hunter2@host/db", "no database of kind oracle"),
        ("postgresql+psycopg2://me:hunter2@host/db", "no database of kind postgresql"),
    ],
)
async def test_what_cannot_be_right(url: str, told: str) -> None:
    """A mistake in the URL is one of the command line, and its password is not repeated."""
    with pytest.raises(ConfigError, match=f"^--to: .*{told}") as caught:
        async with open_database(url):
            pass
    assert caught.value.exit_code == 2
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("missing", ["nope/copy.sqlite", "."])
async def test_a_place_where_no_file_can_be(folder: Path, missing: str) -> None:
    """A folder that is not there, or a folder in the place of the file, is one line, at once."""
    with pytest.raises(StoreError, match=r"unable to open database file \(does its folder"):
        async with open_database(f"sqlite:///{folder / missing}"):
            pass


async def test_a_file_that_has_to_be_there(folder: Path) -> None:
    """What is only to be read is not created, whatever its name."""
    for name in ("copy.sqlite", "a%20b?c.sqlite"):
        with pytest.raises(StoreError, match="there is no such file"):
            async with open_database(f"sqlite:///{folder / name}", must_exist=True):
                pass
    assert names(folder) == []


async def test_a_name_with_odd_characters(folder: Path) -> None:
    """In a URL they are written with percents, for writing and for reading."""
    url = f"sqlite:///{folder}/my%20copy%20%25%231%3F.sqlite"
    async with open_database(url) as opened:
        await opened.create(tables.categories)
    async with open_database(url, must_exist=True) as opened, opened.reading() as connection:
        assert await RowsTable(tables.categories, "us").read(connection) == {}
    assert "my copy %#1?.sqlite" in names(folder)


@pytest.mark.parametrize("name", ["sqlite", "postgresql", "mysql"])
def test_the_statements_of_other_databases(name: str) -> None:
    """The tables and the upsert can be said in each dialect."""
    dialect = make_url(f"{name}://").get_dialect()()
    for table in (tables.categories, tables.checkpoints):
        assert str(CreateTable(table).compile(dialect=dialect))
    statement = rows.upsert(tables.categories, dialect)
    values = statement.partition("VALUES")[2].partition("ON")[0]
    assert values.count("%") + values.count("?") == 5


async def test_a_server_that_would_cut_what_is_too_long(mariadb: MariaDb) -> None:
    """It refuses, whatever its own mode: a copy that differs in silence would be worse."""
    url = await mariadb.new()
    await execute(url, "SET GLOBAL sql_mode = ''")
    try:
        async with open_database(url) as opened:
            mirror = Mirror(opened, "us")
            await mirror.load()
            with pytest.raises(StoreError, match="too long"):
                await mirror.reset(LONG, Checkpoint("9f3c1a2b", 1, "1-0", "0" * 16))
    finally:
        await execute(url, "SET GLOBAL sql_mode = DEFAULT")
        await mariadb.give_back(url)


async def test_a_server_that_takes_long_ids(postgres: Postgres) -> None:
    """PostgreSQL has no use for the length that MySQL wants."""
    url = await postgres.new()
    async with open_database(url) as opened:
        mirror = Mirror(opened, "us")
        await mirror.load()
        await mirror.reset(LONG, Checkpoint("9f3c1a2b", 1, "1-0", "0" * 16))
        assert (await mirror.read())[1] == LONG.rows
    await postgres.give_back(url)
