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
