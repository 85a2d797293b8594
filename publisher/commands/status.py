"""`category-publisher status`: checks all catalogs and prints what is wrong."""

from typing import Annotated

import typer

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import ConfigOption, load_settings
from plumbing.errors import ConfigError
from publisher.commands.options import JsonOption
from publisher.status.report import print_status, watch_status

app = new_app()


@app.command()
def status(
    json: JsonOption = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Repeat it every two seconds until stopped.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Show whether everything is fine: catalogs, polls, holds, leases, consumers.

    Exit codes: 0 all is fine, 1 something is not (or Redis cannot be read), 3 a snapshot is held.
    """
    settings = load_settings(config)
    if watch and json:
        raise ConfigError("--watch and --json exclude each other: --watch is for people")
    if watch:
        signals.run(signals.until_stopped(watch_status(settings)))
    signals.run(print_status(settings, as_json=json))
