"""How refusals and warnings quote what a source answered: harmless, and not too much. Pure."""

from typing import Any, Final

EXAMPLES: Final = 3
LONGEST_QUOTE: Final = 200


def examples(names: list[str]) -> str:
    """Return the first of `names`, and how many more there are."""
    shown = ", ".join(quoted(name) for name in names[:EXAMPLES])
    return f"{shown}{and_more(len(names), EXAMPLES)}"


def and_more(count: int, shown: int = 1) -> str:
    """Return how many of `count` were not `shown`: nothing if none."""
    return f" (and {count - shown} more)" if count > shown else ""


def quoted(value: Any) -> str:
    """Return outside text as ASCII on one line, cut."""
    return ascii(value)[:LONGEST_QUOTE]
