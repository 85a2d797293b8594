"""Writes events to standard output, as lines for people or as their JSON.

`history` writes changes in the same lines. The output is UTF-8, whatever the locale is, and control
characters in ids and names are escaped, so that they cannot control the terminal.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.text import Text

from consumers.contract.event import Entry
from consumers.contract.model import Category, Event, EventType
from plumbing.text import escape_control_chars

COLOURS: Final = {"added": "green", "updated": "yellow", "removed": "red"}


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
        has_styles = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._console = Console(
            file=io.StringIO(), force_terminal=has_styles, soft_wrap=True, highlight=False
        )

    def write(self, line: Text) -> None:
        """Write a line."""
        with self._console.capture() as capture:
            self._console.print(line)
        sys.stdout.buffer.write(capture.get().encode())


class TextOutput(TextLines):
    """Writes each event as a line for people."""

    def show(self, entry: Entry, event: Event) -> None:  # noqa: ARG002
        """Write an event."""
        position = f"{event.epoch}-{event.sequence}"
        self.write(format_change(event.time, position, event.type, event.category, event.before))


def format_change(
    time: str, position: str, type_: EventType, category: Category, before: Category | None
) -> Text:
    """Return the line for a change: time, position, category, what has changed.

    `category` and `before` are those of an Event. Names are in `repr`, which escapes control
    characters.
    """
    if before is not None:
        fields = zip(Category._fields, before, category, strict=True)
        what = ", ".join(f"{name} {old!r} → {new!r}" for name, old, new in fields if old != new)
    elif type_ == "added":
        what = f"{category.local_name!r} below {category.parent_id!r}"
    else:
        what = repr(category.local_name)
    return Text.assemble(
        (escape_control_chars(time), "dim"),
        f"  {position}  ",
        (f"{type_:7}", COLOURS[type_]),
        f"  {escape_control_chars(category.id)}  {what}",
    )


@contextmanager
def ignore_closed_stdout() -> Iterator[None]:
    """End without an error when a reader such as `head` closes the output."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
