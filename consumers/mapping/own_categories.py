"""Checks the user's own categories, read from a table of text. Pure.

If one row is wrong the whole table is rejected: half an import would look like a complete one.
"""

from typing import NamedTuple

from consumers.errors import MappingRejected
from consumers.mapping.csv_table import TextTable
from consumers.mapping.model import MAX_KEY_LENGTH, OwnCategory
from consumers.mapping.tree import SEPARATOR


class Columns(NamedTuple):
    """The user's names for the columns; None means our name."""

    key: str | None = None
    name: str | None = None
    path: str | None = None

    @property
    def names(self) -> list[str]:
        """The names of the columns for key, name and path."""
        return [self.key or "key", self.name or "name", self.path or "path"]


def read_own_categories(
    table: TextTable, wanted: Columns, separator: str = SEPARATOR
) -> list[OwnCategory]:
    """Return the own categories in `table`, whose paths are joined with `separator`.

    A missing name is the last one of the path, a missing path is the name.
    Raises MappingRejected with all rows that are wrong.
    """
    columns = _existing_columns(table, wanted)
    found: dict[str, OwnCategory] = {}
    problems = []
    for row in table.rows:
        key, name, path = (row.cells[column].strip() if column else "" for column in columns)
        parts = [part.strip() for part in path.split(separator)]
        path = SEPARATOR.join(part for part in parts if part)
        own = OwnCategory(key, name or path.split(SEPARATOR)[-1], path or name)
        if problem := _problem(own) or ("its key is a duplicate" if own.key in found else ""):
            problems.append(f"{row.location}: {problem}" + (f" ({own.key!r})" if own.key else ""))
        found[own.key] = own
    if problems:
        raise MappingRejected(f"{table.name}: nothing was imported", problems)
    return list(found.values())


def _existing_columns(table: TextTable, wanted: Columns) -> list[str | None]:
    """Return the columns of key, name and path; None for a missing one."""
    key, name, path = wanted.names
    named = [column for column in wanted if column is not None]
    existing = [each for each in (name, path) if each in table.header]
    problems = table.column_problems(*dict.fromkeys([key, *named, *existing]))
    if not existing:
        problems = [f"there is neither a column {name!r} nor {path!r}", *problems]
    if problems:
        raise MappingRejected(f"{table.name}: nothing was imported", problems)
    return [column if column in table.header else None for column in (key, name, path)]


def _problem(own: OwnCategory) -> str:
    """Return why `own` cannot be imported; an empty text if it can."""
    if not own.key:
        return "it has no key"
    if len(own.key) > MAX_KEY_LENGTH:
        return f"its key has more than {MAX_KEY_LENGTH} characters"
    if not own.path:
        return "it has neither name nor path"
    if any("\0" in text for text in own):
        return "it contains NUL, which no database accepts"
    return ""
