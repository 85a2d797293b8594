"""Writes events to standard output, as lines for people or as their JSON.

`history` writes changes in the same lines. The output is UTF-8, whatever the locale is, and control
characters in ids and names are escaped, so that they cannot control the terminal.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.text import Text

from consumers.contract.event import Entry
from consumers.contract.model import Category, Event, EventType
from plumbing.text import escape_control_chars

COLOURS: Final = {"added": "green", "updated": "yellow", "removed": "red"}


class CategoryChange(Protocol):
    """The fields of an Event that a line shows."""

    @property
    def type(self) -> EventType:
        """Added, updated or removed."""

    @property
    def category(self) -> Category:
        """The new row, or the last known one of a removed category."""

    @property
    def before(self) -> Category | None:
        """The old row, if and only if `type` is `updated`."""


class _Output:
    def warn(self, text: str) -> None:
        """Write to standard error what is wrong, after the events so far."""
        self.flush()
        sys.stderr.write(f"{escape_control_chars(text)}\n")
        sys.stderr.flush()

    def flush(self) -> None:
        """Make everything visible that was written so far."""
        sys.stdout.buffer.flush()


class JsonOutput(_Output):
    """Writes each event's JSON on one line, otherwise unchanged."""

    def show(self, entry: Entry, event: Event) -> None:  # noqa: ARG002  an EventOutput gets both
        """Write an event. Line ends in JSON are white space, so blanks can replace them."""
        line = (entry.event or b"").replace(b"\r", b" ").replace(b"\n", b" ")
        sys.stdout.buffer.write(line + b"\n")


class TextLines(_Output):
    """Writes lines, with styles if standard output is a terminal.

    NO_COLOR switches off all styles here; rich itself would switch off only colours.
    """

    def __init__(self) -> None:
        self._lines = io.StringIO()
        has_styles = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._console = Console(
            file=self._lines, force_terminal=has_styles, soft_wrap=True, highlight=False
        )

    def write(self, line: Text) -> None:
        """Write a line."""
        self._console.print(line)

    def flush(self) -> None:
        """Make everything visible that was written so far."""
        sys.stdout.buffer.write(self._lines.getvalue().encode())
        self._lines.seek(0)
        self._lines.truncate()
        super().flush()


class TextOutput(TextLines):
    """Writes each event as a line for people."""

    def show(self, entry: Entry, event: Event) -> None:  # noqa: ARG002
        """Write an event."""
        self.write(format_change(event.time, f"{event.epoch}-{event.sequence}", event))


def format_change(time: str, position: str, change: CategoryChange) -> Text:
    """Return the line for `change`: time, position in the history, category."""
    return Text.assemble(
        (escape_control_chars(time), "dim"),
        f"  {position}  ",
        (f"{change.type:7}", COLOURS[change.type]),
        f"  {escape_control_chars(change.category.id)}  {_describe(change)}",
    )


def _describe(change: CategoryChange) -> str:
    """Return what has changed, with names in `repr`, which escapes control characters."""
    if change.before is not None:
        fields = zip(Category._fields, change.before, change.category, strict=True)
        return ", ".join(f"{name} {old!r} → {new!r}" for name, old, new in fields if old != new)
    if change.type == "added":
        return f"{change.category.local_name!r} below {change.category.parent_id!r}"
    return repr(change.category.local_name)


@contextmanager
def ignore_closed_stdout() -> Iterator[None]:
    """End without an error when a reader such as `head` closes the output."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
