"""What `sync` and `approve` tell of a poll, and the exit code that it deserves."""

import sys
from typing import Final

from plumbing.errors import Error
from publisher.polling.poll import PollResult
from publisher.status.phrases import format_counts

HELD: Final = 3


def report(name: str, polled: PollResult | Error) -> int:
    """Tell what came of a catalog's poll, and return the exit code that it deserves."""
    if isinstance(polled, Error):
        _complain(name, polled)
        return polled.exit_code
    print_warnings(name, polled)
    sys.stdout.write(f"{name}: {describe(name, polled)}\n")
    return HELD if polled.outcome == "held" else 0


def describe(name: str, polled: PollResult) -> str:
    """Say what came of a poll."""
    if polled.outcome == "held" and polled.hold is not None:
        return (
            f"held: {'; '.join(polled.hold.reasons)}. Look at it with `category-publisher diff "
            f"{name}`, then `category-publisher approve {name} {polled.hold.digest}`"
        )
    position = f"sequence {polled.position.sequence}" if polled.position else "no state"
    if polled.outcome == "unchanged":
        return f"unchanged ({position})"
    return f"{format_counts(polled.counts)} ({position})"


def print_warnings(name: str, polled: PollResult) -> None:
    """Say on standard error what is not as it should be, though the poll went well."""
    if polled.repaired:
        sys.stderr.write(f"warning: {name}: the state was damaged; its history begins anew\n")
    if polled.damaged:
        sys.stderr.write(
            f"warning: {name}: the state is damaged, and its repair is held: consumers wait until "
            "it is approved\n"
        )
    for warning in polled.warnings:
        sys.stderr.write(f"warning: {name}: {warning}\n")


def _complain(name: str, error: Error) -> None:
    text = str(error)
    lead = "" if text.startswith(f"catalog {name}:") else f"catalog {name}: "
    sys.stderr.write(f"error: {lead}{text}\n")
