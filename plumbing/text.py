"""What a terminal needs: names from outside made harmless, sizes and times made readable."""

from datetime import timedelta


def escape_control_chars(text: str) -> str:
    r"""Return `text` with whatever could steer a terminal, or not be seen, as an escape.

    Line ends, no-break spaces, control characters and marks that turn the direction of writing
    are told (`\n`, `\xa0`, `\x1b`, `\u202e`), and so is a blank at either end (`\x20`); the rest
    stays.
    """
    told = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
    inside = told.strip(" ")
    before, after = told.find(inside), len(told.rstrip(" "))
    return "\\x20" * before + inside + "\\x20" * (len(told) - after if inside else len(told))


def format_duration(span: timedelta) -> str:
    """Return a span in its largest unit, such as `5 s`, `12 min`, `3 h` or `2 d`."""
    seconds = max(0, int(span.total_seconds()))
    for unit, size, limit in (("s", 1, 100), ("min", 60, 6000), ("h", 3600, 172_800)):
        if seconds < limit:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86_400} d"
