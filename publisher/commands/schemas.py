"""`category-publisher schemas`."""

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
        bool, typer.Option("--check", help="Write nothing; 1 if they differ.")
    ] = False,
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where they are.")] = Path(
        "schemas"
    ),
    config: UnusedConfigOption = None,
) -> None:
    """Write the JSON Schemas of what is published.

    Of a category, the meta hash and the three events, with examples beside them.
    """
    validate_config_file(config)
    try:
        written = schemas.check(folder) if check else schemas.write(folder)
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be used: {error.strerror}") from error
    for path in written:
        sys.stdout.write(f"written: {path}\n")
