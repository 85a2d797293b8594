"""What `tail` shows on standard output: a line for a human, or the event's JSON as it is.

Everything is written as UTF-8 bytes, whatever the locale says, and what comes from outside can
neither style nor steer the terminal of who looks.
"""

import io
import sys
from typing import Final

from rich.console import Console
from rich.text import Text

from consumers.event import Entry
from consumers.model import Category, Event
from plumbing.terminal import harmless

COLOURS: Final = {"added": "green", "updated": "yellow", "removed": "red"}


class _Screen:
    def complain(self, text: str) -> None:
        """Tell on standard error what is wrong with the events, in its place among them."""
        self.flush()
        sys.stderr.write(f"{harmless(text)}\n")
        sys.stderr.flush()

    def flush(self) -> None:
        """Let everything so far be seen."""
        sys.stdout.buffer.flush()


class JsonScreen(_Screen):
    """Shows each event's JSON on a line, with nothing changed in it."""

    def show(self, entry: Entry, event: Event) -> None:  # noqa: ARG002  a Screen shows either
        """Show an event. A line end in JSON stands between values, where a blank does as well."""
        line = (entry.event or b"").replace(b"\r", b" ").replace(b"\n", b" ")
        sys.stdout.buffer.write(line + b"\n")


class LineScreen(_Screen):
    """Shows each event on a line, in colours where standard output is a terminal that has some."""

    def __init__(self) -> None:
        self._lines = io.StringIO()
        self._console = Console(
            file=self._lines, force_terminal=sys.stdout.isatty(), soft_wrap=True, highlight=False
        )

    def show(self, entry: Entry, event: Event) -> None:  # noqa: ARG002
        """Show an event."""
        self._console.print(
            Text.assemble(
                (harmless(event.time), "dim"),
                f"  {event.epoch}-{event.sequence}  ",
                (f"{event.type:7}", COLOURS[event.type]),
                f"  {harmless(event.category.id)}  {_what(event)}",
            )
        )

    def flush(self) -> None:
        """Let everything so far be seen."""
        sys.stdout.buffer.write(self._lines.getvalue().encode())
        self._lines.seek(0)
        self._lines.truncate()
        super().flush()


def _what(event: Event) -> str:
    """Return what happened to a category; `repr` leaves nothing in a name that steers."""
    if event.before is not None:
        fields = zip(Category._fields, event.before, event.category, strict=True)
        return ", ".join(f"{name} {old!r} → {new!r}" for name, old, new in fields if old != new)
    if event.type == "added":
        return f"{event.category.local_name!r} below {event.category.parent_id!r}"
    return repr(event.category.local_name)
