"""`category-consumer map …`: its output, its exit codes, and the files it creates.

Commands that need no Redis are called in this process, which is faster than starting one.
"""

import asyncio
import csv
import io
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from consumers.cli import app
from consumers.sql.database import open_database
from consumers.sql.mirror import Mirror
from plumbing.errors import Error
from plumbing.redis.server import Server
from tests.consumers.mapping.mapping_catalog import (
    CUPS,
    HOME,
    MUGS,
    TREE,
    changed,
    open_mapping_catalog,
)
from tests.consumers.mirrors import execute, tables_in
from tests.consumers.pretend_publisher import TIME, PretendPublisher, Row, row, tree
from tests.support.databases import fetch
from tests.support.processes import CONSUMER, call
from tests.support.valkey import Valkey

OWN = "key,name,path\ncups,,Kitchen > Cups\nmugs,Mugs\x1b[31m,\n=1+1,Toys,\n"


class Shop:
    """A user with a folder, a database in it, and a published catalog."""

    def __init__(self, folder: Path, valkey: Valkey) -> None:
        self.folder = folder
        self.to = f"sqlite:///{folder / 'm.db'}"
        self._valkey = valkey
        self._history: PretendPublisher | None = None
        (folder / "publisher.toml").write_text(f'redis_url = "{valkey.url}"\n')

    def publish(self, *trees: tuple[Row, ...]) -> None:
        """Commit `trees`, one after the other, and let `map watch` catch up."""
        asyncio.run(self._publish(trees))
        done = call(CONSUMER, "map", "watch", "us", "--to", self.to, "--once", cwd=self.folder)
        assert done.returncode == 0, done.stderr

    async def _publish(self, trees: tuple[tuple[Row, ...], ...]) -> None:
        async with Server(self._valkey.url).client() as client:
            if self._history is None:
                await client.flushall()
                self._history = PretendPublisher(client)
            self._history.client = client
            for rows in trees:
                await self._history.commit(tree(*rows))

    def map(self, *words: str, given: str = "", code: int = 0) -> str:
        """Run a command of `map` that must exit with `code`; return what it prints."""
        return call_map(*words, given=given, code=code, to=self.to)


def call_map(*words: str, to: str, given: str = "", code: int = 0) -> str:
    """Run a command of `map` in this process; return its output or error."""
    done = CliRunner().invoke(app, ["map", *words], input=given, env={"CATEGORY_PUBLISHER_TO": to})
    if isinstance(done.exception, Error):
        assert done.exception.exit_code == code
        return str(done.exception)
    assert done.exit_code == code, done.output
    return done.stdout_bytes.decode() if code == 0 else done.output


@pytest.fixture
def shop(folder: Path, valkey: Valkey) -> Shop:
    """Return a shop where nothing is published yet."""
    return Shop(folder, valkey)


@pytest.mark.contract("7")
def test_from_the_import_to_the_review(shop: Shop) -> None:
    """As in docs/mapping.md: import, watch, suggest, link, review after a change."""
    assert shop.map("import", "us", "-", given=OWN) == "us: 3 new, 0 changed, 0 unchanged\n"
    error = shop.map("suggest", "us", code=1)
    assert error.endswith("\nrun `category-consumer map watch us --to … --once` first")
    shop.publish(TREE)
    shown = shop.map("suggest", "us", "mugs", "--limit", "1")
    assert shown.splitlines() == ["mugs  Mugs\\x1b[31m", "     68.6  2  Home > Mugs"]
    found = shop.map("suggest", "us", "--csv", "--limit", "1")
    cells = csv.DictReader(io.StringIO(found, newline=""))
    wanted = [("'=1+1", "4"), ("cups", "3"), ("mugs", "2")]
    assert [(each["key"], each["category_id"]) for each in cells] == wanted
    assert shop.map("link", "us", "--from", "-", given=found) == "us: 3 linked\n"
    below = row("9", "Cup\n", "3")
    jugs = MUGS | {"local_name": "Jugs"}
    shop.publish(
        (*changed(MUGS, local_name="Jugs"), below), (HOME, jugs, CUPS | {"is_leaf": False}, below)
    )
    how = "category-consumer map link us KEY ID"
    assert shop.map("review", "us").splitlines() == [
        "=1+1  Toys",
        f"    broken since {TIME}: removed",
        "    linked with 4  Toys",
        "    no similar leaf",
        "cups  Kitchen > Cups",
        f"    broken since {TIME}: no longer a leaf",
        "    linked with 3  Home > Cups",
        "     92.9  9  Home > Cups > Cup\\n",
        "mugs  Mugs\\x1b[31m",
        f"    review since {TIME}: renamed from 'Mugs' to 'Jugs'",
        "    linked with 2  Home > Mugs",
        "    which is now Home > Jugs",
        "us: 1 to review, 2 broken, 0 valid, 0 unlinked",
        f"to accept one as it is now, link it with the same category again: {how}",
        f"to repair a broken one, link it with another category: {how}",
    ]
    accepted = shop.map("link", "us", "mugs", "2")
    assert accepted == "us: mugs is linked with 2: Home > Jugs\n"
    assert len(orjson.loads(shop.map("review", "us", "--json"))) == 2
    check_export(shop)
    shop.map("unlink", "us", "cups")
    assert shop.map("remove", "us", "=1+1", "cups") == "us: 2 removed\n"


def check_export(shop: Shop) -> None:
    """Check that JSON is exact, and CSV the same except for escaped formulas."""
    rows = orjson.loads(shop.map("export", "us"))
    assert [row["key"] for row in rows] == ["=1+1", "cups", "mugs"]
    assert rows[1]["candidates"] == [{"id": "9", "path": "Home > Cups > Cup\n", "score": 92.9}]
    text = shop.map("export", "us", "--format", "csv")
    cells = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["key"] for row in cells] == ["'=1+1", "cups", "mugs"]
    assert cells[1]["candidates"] == "9 (92.9) Home > Cups > Cup\n"
    for row_, exact in zip(cells[1:], rows[1:], strict=True):
        texts = {name: exact[name] or "" for name in exact if name != "candidates"}
        assert {name: row_[name] for name in texts} == texts


def test_a_bad_import_changes_nothing(folder: Path) -> None:
    """The error names each wrong line; exit 1, and no database is created."""
    (folder / "own.csv").write_text("key,name\n,A\nb,B\nb,C\n")
    error = call_map(
        "import", "us", str(folder / "own.csv"), to=f"sqlite:///{folder / 'm'}", code=1
    )
    assert error.splitlines() == [
        f"{folder / 'own.csv'}: nothing was imported:",
        "line 2: it has no key",
        "line 4: its key is a duplicate ('b')",
    ]
    assert [path.name for path in folder.iterdir()] == ["own.csv"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["import", "US", "x.csv"], "catalog 'US': a catalog's name"),
        (["import", "us", "x.csv"], "x.csv: No such file or directory"),
        (["import", "us"], "map import: give a FILE"),
        (["import", "us", "x.csv", "--separator", " "], "--separator"),
        (["import", "us", "x.csv", "--table", "x"], "map import: give a FILE"),
        (["link", "us", "a", "1", "--from", "-"], "map link: give KEY and ID"),
        (["link", "us", "a", "--from", "-"], "map link: give KEY and ID"),
        (["link", "us", "a"], "map link: give KEY and ID, or --from FILE"),
        (["link", "us", "a", "1", "--from", "x"], "map link: give KEY and ID"),
        (["link", "us", "--from", "x.csv"], "x.csv: No such file or directory"),
        (["suggest", "us", "--json", "--csv"], "map suggest: --json or --csv"),
        (["suggest", "us", "--min-score", "101"], "--min-score"),
        (["export", "us", "--format", "xml"], "--format 'xml'"),
        (["watch", "us", "--name", ""], "--name"),
        (["review", "us", "--config", "nope.toml"], "nope.toml: no such file"),
        (["unlink", "us"], "KEY"),
        (["dance"], "No such command"),
    ],
)
def test_a_wrong_command_line(words: list[str], message: str, folder: Path) -> None:
    """It exits with 2, says what is wrong, and creates no file."""
    assert message in call_map(*words, to=f"sqlite:///{folder / 'm'}", code=2)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [["suggest"], ["review"], ["export"], ["link", "a", "1"], ["unlink", "a"], ["remove", "a"]],
)
def test_a_database_that_is_not_there(words: list[str], folder: Path) -> None:
    """Only an import from a file and `watch` create a database."""
    to = f"sqlite:///{folder / 'm'}"
    assert call_map(words[0], "us", *words[1:], to=to, code=1) == f"{to}: there is no such file"
    assert list(folder.iterdir()) == []


NEEDING_TABLES = {
    "suggest": ["suggest", "us"],
    "suggest one": ["suggest", "us", "a", "--csv"],
    "review": ["review", "us"],
    "review json": ["review", "us", "--json"],
    "export": ["export", "us"],
    "export csv": ["export", "us", "--format", "csv"],
    "link": ["link", "us", "a", "1"],
    "link replace": ["link", "us", "a", "1", "--replace"],
    "link from": ["link", "us", "--from", "-"],
    "unlink": ["unlink", "us", "a", "b"],
    "remove": ["remove", "us", "a", "b"],
}
"""All commands of `map` that need the tables which `map watch` or an import creates."""
RUN_FIRST = "run `category-consumer map watch us --to … --once` first"


@pytest.mark.contract("7")
@pytest.mark.parametrize("words", NEEDING_TABLES.values(), ids=NEEDING_TABLES)
def test_a_database_without_tables(words: list[str], to: str) -> None:
    """It exits with 1 and the command to run first, and creates no table.

    The same is true if a mirror has its tables there.
    """
    execute(to, "CREATE TABLE other (id INTEGER)")
    for create in (None, create_mirror):
        if create is not None:
            asyncio.run(create(to))
        before = tables_in(to)
        error = call_map(*words, to=to, given="key,category_id\na,1\n", code=1)
        assert error == f"{to}: there is no copy of catalog us:\n{RUN_FIRST}"
        assert tables_in(to) == before
    assert "checkpoints" in before


async def create_mirror(to: str) -> None:
    """Create the tables of a mirror."""
    async with open_database(to) as database:
        await Mirror(database, "us").prepare()


@pytest.mark.parametrize(
    "words", [*NEEDING_TABLES.values(), ["import", "us", "--table", "own"]], ids=str
)
def test_a_file_that_is_no_database(words: list[str], folder: Path) -> None:
    """It is one line, and the file stays as it is."""
    file = folder / "m"
    file.write_text("a letter, and no database" * 100)
    to = f"sqlite:///{file}"
    error = call_map(*words, to=to, given="key,category_id\na,1\n", code=1)
    assert error == f"{to}: file is not a database (name another file)"
    assert [path.name for path in folder.iterdir()] == ["m"]
    assert file.read_text() == "a letter, and no database" * 100


@pytest.mark.contract("7")
@pytest.mark.parametrize("words", NEEDING_TABLES.values(), ids=NEEDING_TABLES)
def test_before_the_first_watch(words: list[str], to: str) -> None:
    """After an import alone, only `unlink` and `remove` can work."""
    call_map("import", "us", "-", to=to, given="key,name\na,A\nb,B\n")
    before = asyncio.run(fetch(to, "SELECT * FROM mappings"))
    unneeding = {"unlink": "us: 2 unlinked\n", "remove": "us: 2 removed\n"}
    if words[0] in unneeding:
        assert call_map(*words, to=to) == unneeding[words[0]]
        return
    error = call_map(*words, to=to, given="key,category_id\na,1\n", code=1)
    assert error == f"{to}: there is no copy of catalog us:\n{RUN_FIRST}"
    assert asyncio.run(fetch(to, "SELECT * FROM mappings")) == before


def test_an_error_on_the_terminal(folder: Path) -> None:
    """The process writes it to standard error, and nothing to standard output."""
    (folder / "m").touch()
    done = call(CONSUMER, "map", "review", "us", "--to", "sqlite:///m", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    lines = ["sqlite:///m: there is no copy of catalog us:", RUN_FIRST]
    assert done.stderr.splitlines() == [f"error: {line}" for line in lines]


def test_a_table_that_is_not_there(to: str, folder: Path) -> None:
    """An import from it creates neither a file nor a table."""
    words = ("import", "us", "--table", "own")
    assert call_map(*words, to=to, code=1) == f"{to}: there is no such file"
    assert list(folder.iterdir()) == []
    execute(to, "CREATE TABLE other (id INTEGER)")
    error = call_map(*words, to=to, code=1)
    assert error == "nothing was imported:\nthis database has no table or view 'own'"
    assert tables_in(to) == ["other"]


async def test_a_table_as_the_source(folder: Path) -> None:
    """`--table` reads the database that it writes to."""
    to = f"sqlite:///{folder / 'm'}"
    await fetch(to, "CREATE TABLE shelf (no INTEGER, title TEXT)")
    await fetch(to, "INSERT INTO shelf VALUES (1, 'Mugs'), (2, 'Cups')")
    words = ["import", "us", "--to", to, "--table", "shelf", "--key-column", "no"]
    done = call(CONSUMER, "map", *words, "--name-column", "title", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "us: 2 new, 0 changed, 0 unchanged\n"
    done = call(
        CONSUMER, "map", "import", "us", "-", "--to", to, cwd=folder, given="key,name\n1,Jugs"
    )
    assert done.stdout.splitlines() == [
        "us: 0 new, 1 changed, 0 unchanged",
        "1 imported before are not in standard input and are kept (`map remove` deletes them)",
    ]


def test_a_watch_beside_a_mirror(shop: Shop) -> None:
    """`map watch` and `mirror` share a database, and neither needs the other."""
    shop.publish(TREE)
    mirror = call(CONSUMER, "mirror", "us", "--to", shop.to, "--once", cwd=shop.folder)
    assert mirror.returncode == 0
    both = asyncio.run(fetch(shop.to, "SELECT projection FROM checkpoints ORDER BY projection"))
    assert both == [("map",), ("mirror",)]


LEAVES = [row(str(number), name) for number, name in enumerate(["Mug", "Mugs", "Mugs!", "Mug."], 1)]


@pytest.fixture
def to_with_tree(to: str) -> str:
    """Give a database with four similar leaves, and own categories `a` and `b`."""

    async def prepare() -> None:
        async with open_mapping_catalog(to, *LEAVES) as it:
            await it.import_own(a="Mug", b="Mugs")

    asyncio.run(prepare())
    return to


@pytest.mark.contract("7")
def test_a_link_is_replaced_only_with_an_option(to_with_tree: str) -> None:
    """Without `--replace` it is refused, and the link stays."""
    to = to_with_tree
    assert call_map("link", "us", "a", "1", to=to) == "us: a is linked with 1: Mug\n"
    error = call_map("link", "us", "a", "2", to=to, code=1)
    assert error.splitlines()[0] == "nothing was linked:"
    assert "use --replace to change that" in error
    assert [each["category_id"] for each in exported(to)] == ["1", None]
    linked = call_map("link", "us", "a", "2", "--replace", to=to)
    assert linked == "us: a is linked with 2: Mugs\n"
    assert [each["category_id"] for each in exported(to)] == ["2", None]


def test_repeated_keys_count_once(to_with_tree: str) -> None:
    """In what `suggest` lists, and in the numbers of `unlink` and `remove`."""
    to = to_with_tree
    found = call_map("suggest", "us", "b", "b", "a", "--json", to=to)
    assert [each["key"] for each in orjson.loads(found)] == ["b", "a"]
    assert call_map("unlink", "us", "a", "a", to=to) == "us: 1 unlinked\n"
    assert call_map("remove", "us", "a", "a", "b", to=to) == "us: 2 removed\n"
    assert exported(to) == []


def test_what_suggest_suggests(to_with_tree: str) -> None:
    """At most three free leaves of enough similarity, for all that have no link."""
    to = to_with_tree
    assert [len(ids) for ids in suggested(to).values()] == [3, 3]
    assert suggested(to, "--limit", "4") == {"a": ["1", "4", "2", "3"], "b": ["2", "3", "1", "4"]}
    assert suggested(to, "--min-score", "100") == {"a": ["1", "4"], "b": ["2", "3"]}
    call_map("link", "us", "a", "2", to=to)
    assert suggested(to) == {"b": ["3", "1", "4"]}
    assert suggested(to, "a") == {"a": ["1", "4", "3"]}
    error = call_map("suggest", "us", "a", "x", to=to, code=1)
    assert error == "nothing was suggested:\nno category of yours has key 'x'"


def suggested(to: str, *words: str) -> dict[str, list[str]]:
    """Return the ids that `suggest` lists for each key."""
    found = orjson.loads(call_map("suggest", "us", *words, "--json", to=to))
    return {each["key"]: [one["id"] for one in each["suggestions"]] for each in found}


def exported(to: str) -> list[dict[str, str | None]]:
    """Return what `export` prints."""
    found: list[dict[str, str | None]] = orjson.loads(call_map("export", "us", to=to))
    return found


def test_a_separator_of_ones_own(to: str, folder: Path) -> None:
    """It splits the paths of a file and of a table, with columns of other names."""
    text = "no,trail\na,Home / Mugs\n"
    columns = ("--key-column", "no", "--path-column", "trail", "--separator", "/")
    (folder / "own.csv").write_text(text)
    call_map("import", "us", str(folder / "own.csv"), *columns, to=to)
    execute(to, "CREATE TABLE own (no TEXT, trail TEXT)")
    execute(to, "INSERT INTO own VALUES ('b', 'Home / Cups')")
    call_map("import", "us", "--table", "own", *columns, to=to)
    rows = asyncio.run(
        fetch(to, "SELECT own_key, own_name, own_path FROM mappings ORDER BY own_key")
    )
    assert rows == [("a", "Mugs", "Home > Mugs"), ("b", "Cups", "Home > Cups")]
