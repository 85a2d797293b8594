"""The command `category-publisher` (contract, 7), put together.

A command's module is imported when it is called, and none for `--help`: most of what a `sync` takes
is importing, and all commands together import twice of what it needs.

Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 a snapshot is held.
"""

from typing import Any, Final, NoReturn

import typer.core
import typer.main

from plumbing import entry
from publisher.commands.options import new_app

COMMANDS: Final = {
    "demo": "Watch it work: a sandbox shop whose tree lives, the publisher, and a SQLite copy.",
    "sandbox": "Run a TikTok Shop API on this machine, to try the publisher without an account.",
    "run": "Run the daemon: poll each catalog at its interval.",
    "sync": "Poll once and exit, for cron.",
    "diff": "Show what a poll would publish; write nothing.",
    "status": "Show whether everything is fine: catalogs, polls, size, holds, leases, consumers.",
    "approve": "Publish a snapshot that is held.",
    "authorize": "Turn a seller's authorization code into tokens.",
    "export": "Write a catalog's categories to standard output.",
    "schemas": "Write the JSON Schemas of what is published.",
}
"""Each is the `app` of the module of `publisher.commands` with that name; its help begins so."""


class Commands(typer.core.TyperGroup):
    """The group of COMMANDS."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  Typer's
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  Typer's
        """Return the command of a name; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        return typer.main.get_command(entry.imported(f"publisher.commands.{cmd_name}").app)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  Typer's
        """Show what there is, without importing it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = new_app("Keeps TikTok Shop's category tree in Redis and publishes every change of it.")


@app.callback(cls=Commands)
def _category_publisher() -> None:
    pass


def main() -> NoReturn:
    """Run the command line and exit."""
    entry.main(app)
