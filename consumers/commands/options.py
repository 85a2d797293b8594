"""The options that several commands share."""

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
        "Put a URL with a password into the environment variable, "
        "because other users can read a command line.",
        show_default=False,
    ),
]
OnceOption = Annotated[
    bool, typer.Option("--once", help="Catch up and exit: 0 done, 1 failed.", show_default=False)
]
NAME_HELP = "The name under which Redis stores this consumer's checkpoint."


def check_name(name: str) -> None:
    """Raise ConfigError unless `name` is valid for a consumer."""
    if not name or not name.isprintable():
        raise ConfigError("--name: use at least one character, and only printable ones")
