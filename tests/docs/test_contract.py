"""The keys, commands and tables in docs/contract.md are those of the code.

All others that the page names are planned.
"""

import re

import pytest

from consumers.cli import COMMANDS as CONSUMER_COMMANDS
from consumers.history.tables import category_history
from consumers.sql.tables import categories, category_paths, checkpoints
from publisher.cli import COMMANDS as PUBLISHER_COMMANDS
from publisher.state import keys
from tests.support.paths import DOCS

PAGE = (DOCS / "contract.md").read_text("utf-8")
PLANNED = "*(planned)*"


def first_cells(start: str) -> dict[str, bool]:
    """Return the first name in each row of a table, and whether it is planned.

    The table is the first one after `start`.
    """
    table = PAGE.partition(start)[2].partition("\n| --- ")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| `([^` ]+)(.*?) \|", table, re.MULTILINE)
    return {name: PLANNED in rest for name, rest in cells}


def done(names: dict[str, bool]) -> set[str]:
    """Return the names that are not planned."""
    return {name for name, is_planned in names.items() if not is_planned}


@pytest.mark.contract("2")
def test_keys() -> None:
    """The page lists all keys that the publisher writes and their types."""
    listed = done(first_cells("## 2. Redis keys"))
    assert listed == {keys.CATALOGS, *(keys.key("us", name) for name in keys.TYPES)}
    for name, kind in keys.TYPES.items():
        assert f"| `{keys.key('us', name)}` | {kind} |" in PAGE


@pytest.mark.contract("7")
@pytest.mark.parametrize(
    ("program", "commands"),
    [("category-publisher", PUBLISHER_COMMANDS), ("category-consumer", CONSUMER_COMMANDS)],
)
def test_commands(program: str, commands: dict[str, str]) -> None:
    """The page lists all commands; the others in its tables are planned."""
    assert done(first_cells(f"\n`{program}`:\n")) == set(commands)


@pytest.mark.contract("8")
def test_tables() -> None:
    """The tables have at least the columns that the page lists."""
    listed = first_cells("## 8. Tables of the SQL projections")
    tables = (categories, checkpoints, category_paths, category_history)
    assert done(listed) == {table.name for table in tables}
    for table in tables:
        (row,) = re.findall(rf"^\| `{table.name}`.*$", PAGE, re.MULTILINE)
        columns = set(re.findall(r"`(\w+)`", row.split("|")[2]))
        assert columns
        assert columns <= set(table.columns.keys())
