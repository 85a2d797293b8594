"""Options that several commands have."""

from typing import Annotated

import typer

from plumbing.config.load import ENV_TO
from plumbing.errors import ConfigError

ToOption = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="URL",
        envvar=ENV_TO,
        help="The database, such as sqlite:///categories.db (relative to this folder), "
        "postgresql://user@host/name or mysql://user@host/name. "
        "A URL with a password belongs into the environment variable, "
        "since others can read a command line.",
        show_default=False,
    ),
]
OnceOption = Annotated[
    bool, typer.Option("--once", help="Catch up and exit: 0 done, 1 failed.", show_default=False)
]
NAME_HELP = "The name under which Redis shows how far this is."


def check_name(name: str) -> None:
    """Raise ConfigError unless `name` can be a consumer's."""
    if not name or not name.isprintable():
        raise ConfigError("--name: a consumer's name is not empty, and of printable characters")
