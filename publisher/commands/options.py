"""Options that several commands have."""

from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AcceptOption = Annotated[
    bool,
    typer.Option(
        "--accept-origin",
        help="Take over a catalog whose origin (source, locale, category version, …) has changed.",
    ),
]


def new_app(help_: str | None = None) -> typer.Typer:
    """Return an empty command, or group of commands, that behaves as ours do."""
    return typer.Typer(
        help=help_,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        add_completion=False,
    )
