"""What `history` shows on standard output: lines for a human, or JSON for programs.

All of it as UTF-8 bytes, as `consumers.screen` has it, whose lines these are.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Protocol

import orjson
from rich.text import Text

from consumers.contract.event import ROOT
from consumers.contract.model import Category, Rows
from consumers.event_output import TextLines, format_change
from consumers.history.query import Change
from consumers.history.store import Resync
from plumbing.text import escape_control_chars


class Screen(Protocol):
    """Where trees and changes are shown."""

    def tree(self, rows: Rows) -> None:
        """Show a tree."""

    def recorded(self, what: Resync | Change) -> None:
        """Show what was recorded at one place."""

    def flush(self) -> None:
        """Let everything so far be seen."""


class JsonScreen:
    """Shows a JSON object a line: categories as the state has them, by id, and what changed.

    Of a change: `time`, `resync`, `sequence`, `event` (null where a resync found it), `type`
    (`added`, `updated`, `removed`), `category`, and if updated `before` and `changed`, as in the
    `data` of an event (contract, 3). Of a resync: `time`, `resync`, `sequence`, `event` (null),
    `type` (`resync`), `from_position`, `to_position`, and the counts `added`, `updated`, `removed`.
    """

    def tree(self, rows: Rows) -> None:
        """Show a tree."""
        for id_ in sorted(rows):
            self._write(rows[id_]._asdict())

    def recorded(self, what: Resync | Change) -> None:
        """Show what was recorded at one place."""
        at, event, resync, sequence = what.mark
        place = {"time": at, "resync": resync, "sequence": sequence, "event": event}
        rest = _of_resync(what) if isinstance(what, Resync) else _of_change(what)
        self._write({**place, **rest})

    def flush(self) -> None:
        """Let everything so far be seen."""
        sys.stdout.buffer.flush()

    def _write(self, told: dict[str, Any]) -> None:
        sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))


class LineScreen(TextLines):
    """Shows a line a category, with its path, or a line a change."""

    def tree(self, rows: Rows) -> None:
        """Show a tree, top down, siblings by name. Its lines are plain, since they may be many."""
        width = max(len(escape_control_chars(id_)) for id_ in rows) if rows else 0
        for row, path in _top_down(rows):
            mark = "leaf" if row.is_leaf else ""
            sys.stdout.buffer.write(
                f"{escape_control_chars(row.id):{width}}  {mark:4}  {path}\n".encode()
            )

    def recorded(self, what: Resync | Change) -> None:
        """Show what was recorded at one place."""
        if isinstance(what, Resync):
            self.write(_resync_line(what))
        else:
            event = what.mark.event
            place = event.rpartition("-")[0] if event else f"resync {what.mark.resync}"
            self.write(format_change(what.mark.at, place, what))


def _of_resync(resync: Resync) -> dict[str, Any]:
    names = ("from_position", "to_position", "added", "updated", "removed")
    return {"type": "resync", **{name: getattr(resync, name) for name in names}}


def _of_change(change: Change) -> dict[str, Any]:
    told: dict[str, Any] = {"type": change.type, "category": change.category._asdict()}
    if change.before is not None:
        fields = zip(Category._fields, change.before, change.category, strict=True)
        told["before"] = change.before._asdict()
        told["changed"] = [name for name, old, new in fields if old != new]
    return told


def _resync_line(resync: Resync) -> Text:
    counts = f"{resync.added} added, {resync.updated} updated, {resync.removed} removed"
    from_ = f" from {resync.from_position}" if resync.from_position else ""
    return Text.assemble(
        (resync.resynced_at, "dim"),
        f"  resync {resync.number}  ",
        (f"{counts}{from_} to {resync.to_position}", "bold"),
    )


def _top_down(rows: Rows) -> Iterator[tuple[Category, str]]:
    """Yield each category with its path, a parent right before what is below it."""
    below: dict[str, list[Category]] = defaultdict(list)
    for row in sorted(rows.values(), key=lambda row: (row.local_name, row.id), reverse=True):
        below[row.parent_id].append(row)
    next_ = [(row, escape_control_chars(row.local_name)) for row in below[ROOT]]
    while next_:
        row, path = next_.pop()
        yield row, path
        next_ += [
            (each, f"{path} > {escape_control_chars(each.local_name)}") for each in below[row.id]
        ]
