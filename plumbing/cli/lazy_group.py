"""Groups of commands whose modules are imported only when they are called.

A `sync` spends most of its time on imports, and all commands together import twice what it needs.
So `--help` of a group imports no command, and `tail` does not wait for a database's libraries.
"""

from collections.abc import Mapping
from typing import Any

import typer
import typer.core
import typer.main

from plumbing.cli.main import import_command


def new_app(help_: str | None = None) -> typer.Typer:
    """Return an empty command, or group of commands, with our common settings."""
    return typer.Typer(
        help=help_,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        add_completion=False,
    )


def lazy_group(help_: str, package: str, commands: Mapping[str, str]) -> typer.Typer:
    """Return a group of `commands`: names, each with the first line of its help.

    A command is the `app` of the module of `package` that has its name.
    """

    class Commands(typer.core.TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  Typer's signature
            return list(commands)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  Typer's signature
            if cmd_name not in commands:
                return None
            return typer.main.get_command(import_command(f"{package}.{cmd_name}").app)

        def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  Typer's signature
            with formatter.section("Commands"):
                formatter.write_dl(list(commands.items()))

    app = new_app(help_)
    app.callback(cls=Commands)(lambda: None)
    return app
