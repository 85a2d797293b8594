"""Prints the result of a poll, and returns its exit code.

Its users are `sync` and `approve`.
"""

import sys
from collections.abc import Awaitable

from plumbing.errors import Error
from publisher.errors import Held
from publisher.polling.poll import PollResult
from publisher.status.phrases import format_counts


async def result_of(poll: Awaitable[PollResult]) -> PollResult | Error:
    """Await `poll`; return its result, or its error if it failed."""
    try:
        return await poll
    except Error as error:
        return error


def report(name: str, polled: PollResult | Error, intro: str = "") -> int:
    """Print the result of a poll of the catalog `name`; return its exit code.

    Warnings and errors go to standard error. `intro` is printed before a result, such as
    `approved: `, but not before an error.
    """
    if isinstance(polled, Error):
        text = str(polled)
        prefix = "" if text.startswith(f"catalog {name}:") else f"catalog {name}: "
        sys.stderr.write(f"error: {prefix}{text}\n")
        return polled.exit_code
    warnings = []
    if polled.is_repaired:
        warnings.append("the state was damaged; a new epoch has started")
    if polled.is_damaged:
        warnings.append(
            "the state is damaged, and its repair is held: consumers wait until it is approved"
        )
    for warning in [*warnings, *polled.warnings]:
        sys.stderr.write(f"warning: {name}: {warning}\n")
    sys.stdout.write(f"{name}: {intro}{describe(name, polled)}\n")
    return Held.exit_code if polled.outcome == "held" else 0


def describe(name: str, polled: PollResult) -> str:
    """Return the result of a poll in one line."""
    if polled.hold is not None:
        return (
            f"held: {'; '.join(polled.hold.reasons)}. Check it with `category-publisher diff "
            f"{name}`, then `category-publisher approve {name} {polled.hold.digest}`"
        )
    position = f"sequence {polled.position.sequence}" if polled.position else "no state"
    result = "unchanged" if polled.outcome == "unchanged" else format_counts(polled.counts)
    return f"{result} ({position})"
