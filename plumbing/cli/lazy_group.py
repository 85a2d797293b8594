"""What our two command lines have in common: how a command behaves, and groups of them.

A command's module is imported when it is called, and none for `--help`: most of what a `sync` takes
is importing, all commands together import twice of what it needs, and a `tail` should not wait for
the libraries of a database.
"""

from collections.abc import Mapping
from typing import Any

import typer
import typer.core
import typer.main

from plumbing.cli import main as entry


def new_app(help_: str | None = None) -> typer.Typer:
    """Return an empty command, or group of commands, that behaves as ours do."""
    return typer.Typer(
        help=help_,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        add_completion=False,
    )


def group(help_: str, package: str, commands: Mapping[str, str]) -> typer.Typer:
    """Return a group of `commands`, names and what their help begins with.

    Each is the `app` of the module of `package` with its name.
    """

    class Commands(typer.core.TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  Typer's
            return list(commands)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  Typer's
            if cmd_name not in commands:
                return None
            return typer.main.get_command(entry.import_command(f"{package}.{cmd_name}").app)

        def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  Typer's
            with formatter.section("Commands"):
                formatter.write_dl(list(commands.items()))

    app = new_app(help_)
    app.callback(cls=Commands)(_nothing)
    return app


def _nothing() -> None:
    pass
