"""Options that several commands share."""

from typing import Annotated

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AcceptOption = Annotated[
    bool,
    typer.Option(
        "--accept-origin",
        help="Accept that the origin (source, locale, category version, …) has changed.",
    ),
]
