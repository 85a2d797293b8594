"""The two projections of the page for those who write a consumer run, from nothing."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from tests.support.databases import fetch
from tests.support.paths import DOCS
from tests.support.processes import PUBLISHER, replace, start
from tests.support.waiting import eventually

PAGE = DOCS / "writing-a-consumer.md"
BIGGER = [
    {"id": "1", "parent_id": "0", "local_name": "Home", "is_leaf": False},
    {"id": "2", "parent_id": "1", "local_name": "Garden & Patio", "is_leaf": False},
    {"id": "3", "parent_id": "2", "local_name": "Roses", "is_leaf": True},
]
OTHER = [{"id": "9", "parent_id": "0", "local_name": "Toys", "is_leaf": True}]


def block(language: str, part: str) -> str:
    """Return the page's block in `language` that has `part` in it."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (found,) = [text for text in blocks if part in text]
    return str(found)


@pytest.fixture
def cwd(folder: Path) -> Iterator[Path]:
    """Give the page's folder, with a publisher running in it."""
    (folder / "publisher.toml").write_text(block("toml", "tree.json"), "utf-8")
    (folder / "tree.json").write_text(block("json", "Garden"), "utf-8")
    with start(PUBLISHER, "run", cwd=folder) as process:
        try:
            yield folder
        finally:
            process.terminate()
            process.communicate()


@contextmanager
def running(name: str, part: str, *words: str, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the page's program that has `part` in it; stopped, it ends well."""
    (cwd / name).write_text(block("python", part), "utf-8")
    process = subprocess.Popen(
        [sys.executable, name, *words], cwd=cwd, stderr=subprocess.PIPE, env={"PATH": ""}
    )
    with process:
        try:
            yield process
            process.terminate()
            assert b"Traceback" not in process.communicate(timeout=20)[1]
            assert process.returncode == 0
        finally:
            process.kill()


async def test_the_menu(cwd: Path) -> None:
    """It is written as the page says, and follows the tree."""
    menu = cwd / "menu.txt"

    async def shows(text: str) -> bool:
        return menu.exists() and menu.read_text() == text

    with running("menu.py", "class Menu", cwd=cwd):
        await eventually(lambda: shows("Home\n  Garden\n"))
        replace(cwd / "tree.json", orjson.dumps(BIGGER))
        await eventually(lambda: shows("Home\n  Garden & Patio\n    Roses\n"))


async def test_the_leaves(cwd: Path) -> None:
    """They are in the database, follow the tree, and go on after the program was stopped."""
    url = f"sqlite:///{cwd / 'leaves.db'}"

    async def are(*names: str) -> bool:
        tables = await fetch(url, "SELECT name FROM sqlite_master WHERE name = 'leaves'")
        rows = await fetch(url, "SELECT local_name FROM leaves") if tables else []
        return {name for (name,) in rows} == set(names)

    with running("leaves.py", "class Leaves", url, cwd=cwd):
        await eventually(lambda: are("Garden"))
        replace(cwd / "tree.json", orjson.dumps(BIGGER))
        await eventually(lambda: are("Roses"))
    replace(cwd / "tree.json", orjson.dumps([*BIGGER, *OTHER]))
    with running("leaves.py", "class Leaves", url, cwd=cwd):
        await eventually(lambda: are("Roses", "Toys"))
    (checkpoint,) = await fetch(url, "SELECT projection, catalog, sequence FROM checkpoints")
    assert checkpoint == ("leaves", "us", 5)
