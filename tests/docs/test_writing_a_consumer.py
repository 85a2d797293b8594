"""The code of docs/writing-a-consumer.md runs, and its examples are valid.

Its examples agree with the schemas.
"""

import re
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import orjson
import pytest
import redis.asyncio

from publisher.polling.poll import poll_once
from publisher.state.store import Store
from tests.support.catalogs import make_catalog
from tests.support.contract import digest_of
from tests.support.databases import fetch
from tests.support.paths import DOCS, SCHEMAS
from tests.support.processes import PUBLISHER, replace, start
from tests.support.scripted_source import ScriptedSource
from tests.support.trees import tree
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually

PAGE = (DOCS / "writing-a-consumer.md").read_text("utf-8")
KEY = "catalog:{us}:meta"
FIELDS = ("id", "parent_id", "local_name", "is_leaf")
FIRST = tree(("1", "0"), ("2", "1"), ("3", "1"))
SECOND = tree(("3", "0"), ("1", "3", "moved", False), ("4", "1"))
BIGGER = [
    {"id": "1", "parent_id": "0", "local_name": "Home", "is_leaf": False},
    {"id": "2", "parent_id": "1", "local_name": "Garden & Patio", "is_leaf": False},
    {"id": "3", "parent_id": "2", "local_name": "Roses", "is_leaf": True},
]
OTHER = [{"id": "9", "parent_id": "0", "local_name": "Toys", "is_leaf": True}]
STEPS = """
from contextlib import aclosing

from consumers.api import Apply, Reader, Reset, open_catalog, run


async def main(settings, checkpoint=None):
{}

run(main)
"""
"""A program around the page's last block."""


def block(language: str, part: str) -> str:
    """Return the block of the page in `language` that contains `part`."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    (found,) = [text for text in blocks if part in text]
    return str(found)


@pytest.fixture
def consumer(folder: Path, valkey: Valkey) -> Iterator[Path]:
    """Run the consumer of the page; give its SQLite file."""
    (folder / "consumer.py").write_text(block("python", "import sqlite3"), "utf-8")
    file = folder / "copy.sqlite"
    command = [sys.executable, str(folder / "consumer.py"), valkey.url, "us", str(file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    yield file
    process.kill()
    _, errors = process.communicate()
    assert errors == b""


@pytest.mark.contract("5.6")
async def test_its_consumer_follows(consumer: Path, real_client: redis.asyncio.Redis) -> None:
    """Its copy equals the state after changes, a trimmed stream and a repair.

    The first change is the import.
    """
    source = ScriptedSource()
    catalog = make_catalog(Store(real_client, "us"), source)

    async def equals_state() -> bool:
        with closing(sqlite3.connect(consumer, timeout=PATIENCE)) as copy:
            tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master")}
            rows = copy.execute("SELECT * FROM category").fetchall() if "category" in tables else []
        found = {row[0]: dict(zip(FIELDS, [*row[:3], bool(row[3])], strict=True)) for row in rows}
        return digest_of(found) == (await real_client.hget(KEY, "digest") or b"").decode()  # type: ignore[union-attr]

    source.set_tree(FIRST)
    await poll_once(catalog)
    await eventually(equals_state)
    source.set_tree(SECOND)
    await poll_once(catalog)
    await eventually(equals_state)
    await real_client.xtrim("catalog:{us}:events", 0, approximate=False)
    await real_client.delete("catalog:{us}:meta")
    source.set_tree(FIRST)
    await poll_once(catalog)
    await eventually(equals_state)


@pytest.mark.contract("4")
def test_its_example_of_the_digest() -> None:
    """The example meta is that of a state with the example category alone."""
    category = orjson.loads((SCHEMAS / "examples" / "category.json").read_bytes())
    meta = orjson.loads((SCHEMAS / "examples" / "meta.json").read_bytes())
    assert digest_of({category["id"]: category}) == meta["digest"]
    assert meta["count"] == "1"


@pytest.fixture
def cwd(folder: Path) -> Iterator[Path]:
    """Give the folder that the page describes, with a publisher running in it."""
    (folder / "publisher.toml").write_text(block("toml", "tree.json"), "utf-8")
    (folder / "tree.json").write_text(block("json", "Garden"), "utf-8")
    with start(PUBLISHER, "run", cwd=folder) as process:
        try:
            yield folder
        finally:
            process.terminate()
            process.communicate()


@contextmanager
def running(program: str, *arguments: str, cwd: Path) -> Iterator[None]:
    """Run `program` in `cwd`; assert that SIGTERM ends it with 0.

    Its output is in `cwd`/out.
    """
    (cwd / "program.py").write_text(program, "utf-8")
    with (cwd / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", "program.py", *arguments],
            cwd=cwd,
            stdout=out,
            stderr=subprocess.PIPE,
            env={"PATH": ""},
        )
    with process:
        try:
            yield
            process.terminate()
            assert b"Traceback" not in process.communicate(timeout=PATIENCE)[1]
            assert process.returncode == 0
        finally:
            process.kill()


async def test_the_menu(cwd: Path) -> None:
    """The menu is written as the page says, and follows the tree."""
    menu = cwd / "menu.txt"

    async def shows(text: str) -> bool:
        return menu.exists() and menu.read_text() == text

    with running(block("python", "class Menu"), cwd=cwd):
        await eventually(lambda: shows("Home\n  Garden\n"))
        replace(cwd / "tree.json", orjson.dumps(BIGGER))
        await eventually(lambda: shows("Home\n  Garden & Patio\n    Roses\n"))


@pytest.mark.contract("5.8")
async def test_the_leaves(cwd: Path) -> None:
    """The leaves are in the database, follow the tree, and go on after a restart."""
    url = f"sqlite:///{cwd / 'leaves.db'}"
    program = block("python", "class Leaves")

    async def are(*names: str) -> bool:
        tables = await fetch(url, "SELECT name FROM sqlite_master WHERE name = 'leaves'")
        rows = await fetch(url, "SELECT local_name FROM leaves") if tables else []
        return {name for (name,) in rows} == set(names)

    with running(program, url, cwd=cwd):
        await eventually(lambda: are("Garden"))
        replace(cwd / "tree.json", orjson.dumps(BIGGER))
        await eventually(lambda: are("Roses"))
    replace(cwd / "tree.json", orjson.dumps([*BIGGER, *OTHER]))
    with running(program, url, cwd=cwd):
        await eventually(lambda: are("Roses", "Toys"))
    (checkpoint,) = await fetch(url, "SELECT projection, catalog, sequence FROM checkpoints")
    assert checkpoint == ("leaves", "us", 5)


async def test_the_steps(cwd: Path) -> None:
    """Without a projection the steps are a reset, then the events of each change."""

    async def prints(text: str) -> bool:
        return text in (cwd / "out").read_text()

    program = STEPS.format(textwrap.indent(block("python", "case Reset"), "    "))
    with running(program, cwd=cwd):
        await eventually(lambda: prints("reset to 2 categories"))
        replace(cwd / "tree.json", orjson.dumps(BIGGER))
        await eventually(lambda: prints("apply 2 events, up to"))
