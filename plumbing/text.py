"""Text for a terminal: names from outside with escapes, and readable durations."""

from datetime import timedelta


def escape_control_chars(text: str) -> str:
    r"""Return `text` with invisible or terminal-controlling parts escaped.

    Line ends, no-break spaces, control characters and marks that change the direction of writing
    are escaped (`\n`, `\xa0`, `\x1b`, `\u202e`), and so are spaces at either end (`\x20`).
    """
    escaped = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
    inner = escaped.strip(" ")
    leading = len(escaped) - len(escaped.lstrip(" "))
    trailing = len(escaped) - leading - len(inner)
    return "\\x20" * leading + inner + "\\x20" * trailing


def format_duration(duration: timedelta) -> str:
    """Return a duration in its largest unit, such as `5 s`, `12 min`, `3 h` or `2 d`."""
    seconds = max(0, int(duration.total_seconds()))
    for unit, size, limit in (("s", 1, 100), ("min", 60, 6000), ("h", 3600, 172_800)):
        if seconds < limit:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86_400} d"
