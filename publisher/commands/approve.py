"""`category-publisher approve`."""

import re
import sys
from typing import Annotated

import typer

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import CatalogArgument, ConfigOption, load_settings
from plumbing.config.settings import Settings
from plumbing.errors import ConfigError, Error
from publisher.app import configured_names, open_app
from publisher.commands.poll_output import describe, print_warnings, report
from publisher.polling.recorded_poll import approve_and_record

app = new_app()

DIGEST = re.compile("[0-9a-f]{16}")


@app.command()
def approve(
    catalog: CatalogArgument,
    digest: Annotated[
        str, typer.Argument(metavar="DIGEST", help="The held snapshot's, as `status` shows it.")
    ],
    config: ConfigOption = None,
) -> None:
    """Publish a snapshot that is held.

    The source is asked again: only if it still gives the snapshot with DIGEST is that published.
    Exit codes: 0 done, 1 nothing is held or failed, 3 the source gives another snapshot now.
    """
    settings = load_settings(config)
    if not DIGEST.fullmatch(digest):
        raise ConfigError(f"digest {digest!r} is not 16 lower-case hex digits, as `status` shows")
    names = configured_names(settings, [catalog])
    signals.run(_approve(settings, names[0], digest))


async def _approve(settings: Settings, name: str, digest: str) -> int:
    async with open_app(settings, [name]) as opened_:
        try:
            polled = await approve_and_record(opened_.catalogs[name], opened_.server, digest)
        except Error as error:
            return report(name, error)
    print_warnings(name, polled)
    sys.stdout.write(f"{name}: approved: {describe(name, polled)}\n")
    return 0
