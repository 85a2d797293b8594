"""The command `category-consumer` (contract, 7), put together.

A command's module is imported when it is called: each has libraries of its own, and a `tail` should
not wait for those of a database.

Exit codes: 0 done or stopped, 1 failed, 2 wrong command line or configuration; of `verify` 0
equal, 1 different, 2 could not compare.
"""

from importlib import import_module
from typing import Any, Final, NoReturn

import typer.core
import typer.main

from consumers.commands.options import new_app
from plumbing import entry

COMMANDS: Final = ("mirror", "history", "map", "tail", "verify")
"""Each is the `app` of the module of `consumers.commands` with that name."""


class Commands(typer.core.TyperGroup):
    """The group of COMMANDS."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  Typer's
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  Typer's
        """Return the command of a name; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        return typer.main.get_command(import_module(f"consumers.commands.{cmd_name}").app)


app = new_app("Follows the changes of a catalog that category-publisher publishes.")


@app.callback(cls=Commands)
def _category_consumer() -> None:
    pass


def main() -> NoReturn:
    """Run the command line and exit."""
    entry.main(app)
