"""Prints what `history` reads: text for people, or JSON for programs.

Written as UTF-8 bytes, and a changed category in the same form as by `tail` (`event_output`).
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, TypeAlias

import orjson
from rich.text import Text

from consumers.contract.event import ROOT
from consumers.contract.model import Category, Rows
from consumers.event_output import TextLines, format_change
from consumers.history.query import RecordedChange
from consumers.history.store import Resync
from plumbing.text import escape_control_chars


class JsonHistoryOutput:
    """Prints a JSON object a line: categories by id, or what changed.

    Of a change: `time`, `resync`, `sequence`, `event` (null where a resync found it), `type`
    (`added`, `updated`, `removed`), `category`, and if updated `before` and `changed`, as in the
    `data` of an event (contract, 3). Of a resync: `time`, `resync`, `sequence`, `event` (null),
    `type` (`resync`), `from_position`, `to_position`, and the counts `added`, `updated`, `removed`.
    """

    def tree(self, rows: Rows) -> None:
        """Print a tree."""
        for id_ in sorted(rows):
            self._write(rows[id_]._asdict())

    def recorded(self, item: Resync | RecordedChange) -> None:
        """Print a change or a resync."""
        if isinstance(item, Resync):
            position, fields = item.start, {"type": "resync"}
            for name in ("from_position", "to_position", "added", "updated", "removed"):
                fields[name] = getattr(item, name)
        else:
            position, fields = item.position, _change_fields(item)
        at, event, resync, sequence = position
        common = {"time": at, "resync": resync, "sequence": sequence, "event": event}
        self._write({**common, **fields})

    def flush(self) -> None:
        """Write everything that is buffered."""
        sys.stdout.buffer.flush()

    def _write(self, fields: dict[str, Any]) -> None:
        sys.stdout.buffer.write(orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))


class TextHistoryOutput(TextLines):
    """Prints a line a category, with its path, or a line a change or resync."""

    def tree(self, rows: Rows) -> None:
        """Print a tree, top down, siblings by name.

        Plain text without styles, since there may be many lines.
        """
        width = max((len(escape_control_chars(id_)) for id_ in rows), default=0)
        for row, path in _top_down(rows):
            leaf = "leaf" if row.is_leaf else "    "
            line = f"{escape_control_chars(row.id):{width}}  {leaf}  {path}\n"
            sys.stdout.buffer.write(line.encode())

    def recorded(self, item: Resync | RecordedChange) -> None:
        """Print a change or a resync."""
        if isinstance(item, Resync):
            counts = f"{item.added} added, {item.updated} updated, {item.removed} removed"
            from_ = f" from {item.from_position}" if item.from_position else ""
            line = Text.assemble(
                (item.resynced_at, "dim"),
                f"  resync {item.number}  ",
                (f"{counts}{from_} to {item.to_position}", "bold"),
            )
        else:
            at, event, resync, _ = item.position
            where = event.rpartition("-")[0] if event else f"resync {resync}"
            line = format_change(at, where, item.type, item.category, item.before)
        self.write(line)


HistoryOutput: TypeAlias = JsonHistoryOutput | TextHistoryOutput


def _change_fields(change: RecordedChange) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": change.type, "category": change.category._asdict()}
    if change.before is not None:
        pairs = zip(Category._fields, change.before, change.category, strict=True)
        fields["before"] = change.before._asdict()
        fields["changed"] = [name for name, old, new in pairs if old != new]
    return fields


def _top_down(rows: Rows) -> Iterator[tuple[Category, str]]:
    """Yield each category with its path; a parent comes right before its descendants."""
    children: dict[str, list[Category]] = defaultdict(list)
    for row in sorted(rows.values(), key=lambda row: (row.local_name, row.id), reverse=True):
        children[row.parent_id].append(row)
    stack = [(row, escape_control_chars(row.local_name)) for row in children[ROOT]]
    while stack:
        row, path = stack.pop()
        yield row, path
        stack += [
            (each, f"{path} > {escape_control_chars(each.local_name)}") for each in children[row.id]
        ]
