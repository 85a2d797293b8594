"""The user's own categories, as they stand in a sheet. Pure.

A bad row spoils the sheet: half an import would look like a whole one.
"""

from typing import NamedTuple

from consumers.errors import MapRefused
from consumers.mapping.csv_table import Row, Sheet
from consumers.mapping.model import KEY, Own
from consumers.mapping.tree import SEPARATOR


class Columns(NamedTuple):
    """What the user calls the columns; None is the name that we give them."""

    key: str | None = None
    name: str | None = None
    path: str | None = None

    @property
    def names(self) -> list[str]:
        """Of key, name and path."""
        return [self.key or "key", self.name or "name", self.path or "path"]


def own_categories(sheet: Sheet, wanted: Columns, separator: str = SEPARATOR) -> list[Own]:
    """Return the own categories in `sheet`, whose paths are separated by `separator`.

    A name that is not there is the path's last one, and a path that is not there is the name.
    Raises MapRefused with all rows that are wrong.
    """
    columns = _columns(sheet, wanted)
    found: dict[str, Own] = {}
    problems = []
    for row in sheet.rows:
        own = _own(row, columns, separator)
        if problem := _problem(own) or ("its key is there before" if own.key in found else ""):
            problems.append(f"{row.place}: {problem}" + (f" ({own.key!r})" if own.key else ""))
        found[own.key] = own
    if problems:
        raise MapRefused(f"{sheet.name}: nothing was imported", problems)
    return list(found.values())


def _columns(sheet: Sheet, wanted: Columns) -> list[str | None]:
    """Return the columns of key, name and path that there are."""
    key, name, path = wanted.names
    named = [column for column in wanted if column is not None]
    there = [each for each in (name, path) if each in sheet.header]
    problems = sheet.lacks(*dict.fromkeys([key, *named, *there]))
    if not there:
        problems = [f"there is neither a column {name!r} nor {path!r}", *problems]
    if problems:
        raise MapRefused(f"{sheet.name}: nothing was imported", problems)
    return [column if column in sheet.header else None for column in (key, name, path)]


def _own(row: Row, columns: list[str | None], separator: str) -> Own:
    key, name, path = (row.cells[column] if column else "" for column in columns)
    parts = [part.strip() for part in path.split(separator)]
    path = SEPARATOR.join(part for part in parts if part)
    return Own(key.strip(), name.strip() or path.split(SEPARATOR)[-1], path or name.strip())


def _problem(own: Own) -> str:
    if not own.key:
        return "it has no key"
    if len(own.key) > KEY:
        return f"its key has more than {KEY} characters"
    if not own.path:
        return "it has neither name nor path"
    if any("\0" in text for text in own):
        return "it holds NUL, which no database takes"
    return ""
