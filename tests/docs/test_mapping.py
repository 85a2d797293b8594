"""The table `mappings` is what docs/mapping.md says, and so are the commands."""

import re
from pathlib import Path

from consumers.commands.map import app
from tests.consumers.mapping.mapping_catalog import open_mapping_catalog
from tests.support.databases import fetch
from tests.support.paths import DOCS

DOC = (DOCS / "mapping.md").read_text("utf-8")


def rows_of(heading: str) -> dict[str, str]:
    """Return the table under `heading`: each name in a first cell, and the second cell."""
    section = DOC.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", section, re.MULTILINE)
    return {name: second for first, second in rows for name in re.findall(r"`(.*?)`", first)}


async def test_the_columns(folder: Path) -> None:
    """All are told, in their order, and which of them can be NULL."""
    to = f"sqlite:///{folder / 'm.db'}"
    async with open_mapping_catalog(to):
        pass
    columns = await fetch(to, "PRAGMA table_info(mappings)")
    told = rows_of("The table `mappings`")
    assert [column[1] for column in columns] == list(told)
    assert [not column[3] for column in columns] == ["null" in kind for kind in told.values()]


def test_the_commands() -> None:
    """Each is told, and no other."""
    told = {re.sub(r"^map (\w+).*", r"\1", each) for each in rows_of("From nothing to a mapping")}
    names = {
        each.name or each.callback.__name__ for each in app.registered_commands if each.callback
    }
    assert names == {each for each in told if each.isalpha()}


def test_the_states() -> None:
    """There are four."""
    assert list(rows_of("States")) == ["unlinked", "valid", "review", "broken"]
