"""Tables as text: CSV (RFC 4180, UTF-8) as spreadsheets read and write it.

A spreadsheet runs a cell that begins with `=` and the like as a formula, and names come from
outside. So such a cell is written with an apostrophe before it, and read without: what was
exported can be edited and handed back. JSON has no need of that.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from consumers.errors import MapRefused

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet may run. Source: OWASP, CSV injection."""


class Row(NamedTuple):
    """A row's cells by column; `place` is where it stands, such as `line 7`."""

    place: str
    cells: dict[str, str]


class Sheet(NamedTuple):
    """What stands in the source `name` (a file, a table): its columns' names, and rows."""

    name: str
    header: Sequence[str]
    rows: Sequence[Row]

    def lacks(self, *columns: str) -> list[str]:
        """Tell which of `columns` are not there, or twice, and if so which ones there are."""
        problems = [f"there is no column {name!r}" for name in columns if name not in self.header]
        problems += [
            f"column {name!r} is there twice" for name in columns if self.header.count(name) > 1
        ]
        there = ", ".join(map(repr, self.header)) or "none"
        return [*problems, f"columns: {there}"] if problems else []


def parse(content: bytes, name: str) -> Sheet:
    """Return what stands in `content`, CSV with a header; MapRefused if that is none."""
    csv.field_size_limit(len(content) + 1)  # the many candidates of one mapping are one cell
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _unread(name, [f"line {line} is not UTF-8"]) from error
    records = _records(text, name)
    header = [cell.strip() for cell in next(records, (1, []))[1]]
    rows, problems = [], []
    for line, cells in records:
        if len(cells) > len(header):
            problems.append(f"line {line} has {len(cells)} cells, the header {len(header)}")
        texts = map(_unguarded, [*cells, *[""] * (len(header) - len(cells))])
        rows.append(Row(f"line {line}", dict(zip(header, texts, strict=False))))
    if problems:
        raise _unread(name, problems)
    return Sheet(name, header, rows)


def unparse(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return CSV; no cell of `rows` is a formula in it."""
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(header)
    writer.writerows([_guarded(cell) for cell in row] for row in rows)
    return lines.getvalue()


def _records(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that are not empty, each with the line in which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begin = 1
    try:
        for cells in reader:
            if cells:
                yield begin, cells
            begin = reader.line_num + 1
    except csv.Error as error:
        raise _unread(name, [f"line {begin} is no CSV: {error}"]) from error


def _unread(name: str, problems: Sequence[str]) -> MapRefused:
    return MapRefused(f"{name}: nothing was read", problems)


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith((*FORMULA, "'")) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith((*FORMULA, "'")) else cell
