"""What `tail` shows on standard output: a line for a human, or the event's JSON as it is.

`history` shows its changes in such lines too.

Everything is written as UTF-8 bytes, whatever the locale says, and what comes from outside can
neither style nor steer the terminal of who looks.
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
    """What a line needs to know of an Event."""

    @property
    def type(self) -> EventType:
        """What happened."""

    @property
    def category(self) -> Category:
        """The new row, or of a removal the last known."""

    @property
    def before(self) -> Category | None:
        """The old row, if and only if `type` is `updated`."""


class _Output:
    def warn(self, text: str) -> None:
        """Tell on standard error what is wrong with the events, in its place among them."""
        self.flush()
        sys.stderr.write(f"{escape_control_chars(text)}\n")
        sys.stderr.flush()

    def flush(self) -> None:
        """Let everything so far be seen."""
        sys.stdout.buffer.flush()


class JsonOutput(_Output):
    """Shows each event's JSON on a line, with nothing changed in it."""

    def show(self, entry: Entry, event: Event) -> None:  # noqa: ARG002  a Screen shows either
        """Show an event. A line end in JSON stands between values, where a blank does as well."""
        line = (entry.event or b"").replace(b"\r", b" ").replace(b"\n", b" ")
        sys.stdout.buffer.write(line + b"\n")


class TextLines(_Output):
    """Shows lines, in colours where standard output is a terminal that has some.

    NO_COLOR, which for rich means colours alone, means all styles here.
    """

    def __init__(self) -> None:
        self._lines = io.StringIO()
        has_styles = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._console = Console(
            file=self._lines, force_terminal=has_styles, soft_wrap=True, highlight=False
        )

    def write(self, line: Text) -> None:
        """Show a line."""
        self._console.print(line)

    def flush(self) -> None:
        """Let everything so far be seen."""
        sys.stdout.buffer.write(self._lines.getvalue().encode())
        self._lines.seek(0)
        self._lines.truncate()
        super().flush()


class TextOutput(TextLines):
    """Shows each event on a line."""

    def show(self, entry: Entry, event: Event) -> None:  # noqa: ARG002
        """Show an event."""
        self.write(format_change(event.time, f"{event.epoch}-{event.sequence}", event))


def format_change(time: str, place: str, changed: CategoryChange) -> Text:
    """Return the line that says when, where in history and how a category has `changed`."""
    return Text.assemble(
        (escape_control_chars(time), "dim"),
        f"  {place}  ",
        (f"{changed.type:7}", COLOURS[changed.type]),
        f"  {escape_control_chars(changed.category.id)}  {_what(changed)}",
    )


def _what(changed: CategoryChange) -> str:
    """Return what happened to a category; `repr` leaves nothing in a name that steers."""
    if changed.before is not None:
        fields = zip(Category._fields, changed.before, changed.category, strict=True)
        return ", ".join(f"{name} {old!r} → {new!r}" for name, old, new in fields if old != new)
    if changed.type == "added":
        return f"{changed.category.local_name!r} below {changed.category.parent_id!r}"
    return repr(changed.category.local_name)


@contextmanager
def ignore_closed_stdout() -> Iterator[None]:
    """End without an error when the reader of standard output closes it, as `head` does."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
