"""Reads and writes CSV (RFC 4180, UTF-8) as spreadsheets do. Pure.

A spreadsheet runs a cell that begins with `=` and the like as a formula, and names come from
outside. Such a cell is written with an apostrophe before it and read without it, so an export can
be edited and imported again. JSON needs no such escape.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

from consumers.errors import MappingRejected

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that a spreadsheet may run. Source: OWASP, CSV injection."""


ESCAPED: Final = (*FORMULA, "'")
"""First characters of a cell that is written with an apostrophe before it."""


class TextRow(NamedTuple):
    """A row's cells by column; `location` says where it is, such as `line 7`."""

    location: str
    cells: dict[str, str]


class TextTable(NamedTuple):
    """A table of text with a header, from CSV or SQL; `name` is its source."""

    name: str
    header: Sequence[str]
    rows: Sequence[TextRow]

    def column_problems(self, *columns: str) -> list[str]:
        """Return which of `columns` are missing or occur twice, as lines of text."""
        problems = [f"there is no column {name!r}" for name in columns if name not in self.header]
        problems += [
            f"column {name!r} occurs twice" for name in columns if self.header.count(name) > 1
        ]
        header = ", ".join(map(repr, self.header)) or "none"
        return [*problems, f"columns: {header}"] if problems else []


def parse_csv(content: bytes, name: str) -> TextTable:
    """Return the table in `content`, CSV with a header.

    Raises MappingRejected, with all lines that are wrong, if it is not valid.
    """
    csv.field_size_limit(len(content) + 1)  # the many candidates of one mapping are one cell
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _nothing_read(name, [f"line {line} is not UTF-8"]) from error
    records = _records(text, name)
    header = [cell.strip() for cell in next(records, (1, []))[1]]
    rows, problems = [], []
    for line, cells in records:
        if len(cells) > len(header):
            problems.append(f"line {line} has {len(cells)} cells, the header {len(header)}")
        texts = [c[1:] if c.startswith("'") and c[1:].startswith(ESCAPED) else c for c in cells]
        rows.append(TextRow(f"line {line}", dict(zip_longest(header, texts, fillvalue=""))))
    if problems:
        raise _nothing_read(name, problems)
    return TextTable(name, header, rows)


def format_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return CSV in which no cell of `rows` is a formula."""
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(header)
    writer.writerows([f"'{c}" if c.startswith(ESCAPED) else c for c in row] for row in rows)
    return lines.getvalue()


def _records(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that are not empty, each with the number of its first line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    first_line = 1
    try:
        for cells in reader:
            if cells:
                yield first_line, cells
            first_line = reader.line_num + 1
    except csv.Error as error:
        raise _nothing_read(name, [f"line {first_line} is not valid CSV: {error}"]) from error


def _nothing_read(name: str, problems: Sequence[str]) -> MappingRejected:
    return MappingRejected(f"{name}: nothing was read", problems)
