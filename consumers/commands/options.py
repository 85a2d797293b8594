"""The options that several commands share."""

from typing import Annotated

import typer

from plumbing.config.load import ENV_TO

ToOption = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="URL",
        envvar=ENV_TO,
        help="The database, such as sqlite:///categories.db (relative to this folder), "
        "postgresql://user@host/name or mysql://user@host/name. "
        f"Put a URL with a password into {ENV_TO}, "
        "because other users can read a command line.",
    ),
]
OnceOption = Annotated[bool, typer.Option("--once", help="Catch up and exit: 0 done, 1 failed.")]
NAME_HELP = "The name under which Redis stores this consumer's checkpoint."
NameOption = Annotated[str, typer.Option("--name", help=NAME_HELP)]
