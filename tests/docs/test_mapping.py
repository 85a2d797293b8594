"""docs/mapping.md: it has the columns, commands and states that the code has."""

import re
from pathlib import Path

from consumers.commands.map import app
from tests.consumers.mapping.mapping_catalog import open_mapping_catalog
from tests.support.databases import fetch
from tests.support.paths import DOCS

DOC = (DOCS / "mapping.md").read_text("utf-8")


def rows_of(heading: str) -> dict[str, str]:
    """Return the table under `heading`.

    It maps each name in the first column to the second cell.
    """
    section = DOC.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", section, re.MULTILINE)
    return {name: second for first, second in rows for name in re.findall(r"`(.*?)`", first)}


async def test_the_columns(folder: Path) -> None:
    """The page lists all columns in order, and says which of them can be NULL."""
    to = f"sqlite:///{folder / 'm.db'}"
    async with open_mapping_catalog(to):
        pass
    columns = await fetch(to, "PRAGMA table_info(mappings)")
    described = rows_of("The table `mappings`")
    assert [column[1] for column in columns] == list(described)
    assert [not column[3] for column in columns] == ["null" in kind for kind in described.values()]


def test_the_commands() -> None:
    """The page lists each command, and no other."""
    rows = rows_of("From nothing to a mapping")
    described = {re.sub(r"^map (\w+).*", r"\1", each) for each in rows}
    names = {
        each.name or each.callback.__name__ for each in app.registered_commands if each.callback
    }
    assert names == {each for each in described if each.isalpha()}


def test_the_states() -> None:
    """The page lists the four states."""
    assert list(rows_of("States")) == ["unlinked", "valid", "review", "broken"]
