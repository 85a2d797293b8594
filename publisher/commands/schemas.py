"""`category-publisher schemas`: writes the JSON Schemas, or checks them."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import UnusedConfigOption, validate_config_file
from plumbing.errors import ConfigError
from publisher import schemas

app = new_app()


@app.command("schemas")
def schemas_(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if a file differs.")
    ] = False,
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="The folder of the files.")
    ] = Path("schemas"),
    config: UnusedConfigOption = None,
) -> None:
    """Write the JSON Schemas of what is published.

    They describe a category, the meta hash and the three events; examples are written beside them.
    """
    validate_config_file(config)
    try:
        if check:
            schemas.check(folder)
        else:
            for path in schemas.write(folder):
                sys.stdout.write(f"written: {path}\n")
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be used: {error.strerror}") from error
