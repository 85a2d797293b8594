"""The command line of `category-publisher` (contract, 7).

Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 a snapshot is held.
"""

from typing import Final, NoReturn

from plumbing.cli.lazy_group import lazy_group
from plumbing.cli.main import run_app

COMMANDS: Final = {
    "demo": "Watch it work: a sandbox shop that changes, the publisher, a SQLite copy.",
    "sandbox": "Run a TikTok Shop API on this machine, to try the publisher without an account.",
    "run": "Run the daemon: poll each catalog at its interval.",
    "sync": "Poll once and exit, for cron.",
    "diff": "Show what a poll would publish; write nothing.",
    "status": "Show whether everything is fine: catalogs, polls, holds, leases, consumers.",
    "approve": "Publish a held snapshot: one whose changes look implausible.",
    "authorize": "Turn a seller's authorization code into tokens.",
    "export": "Write a catalog's categories to standard output.",
    "schemas": "Write the JSON Schemas of what is published.",
}
"""The modules of `publisher.commands`, each with the first line of its help."""

app = lazy_group(
    "Keeps TikTok Shop's category tree in Redis and publishes every change of it.",
    "publisher.commands",
    COMMANDS,
)


def main() -> NoReturn:
    """Run the command line and exit."""
    run_app(app)
