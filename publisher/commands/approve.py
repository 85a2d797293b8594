"""`category-publisher approve` publishes a held snapshot.

A person has checked the snapshot before.
"""

import re
from typing import Annotated

import typer

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import CatalogArgument, ConfigOption, load_settings
from plumbing.errors import ConfigError
from publisher.app import open_app
from publisher.commands.poll_output import report, result_of
from publisher.polling.recorded_poll import approve_and_record

app = new_app()

DIGEST = re.compile("[0-9a-f]{16}")


@app.command()
def approve(
    catalog: CatalogArgument,
    digest: Annotated[
        str, typer.Argument(metavar="DIGEST", help="The held snapshot's digest, from `status`.")
    ],
    config: ConfigOption = None,
) -> None:
    """Publish a held snapshot: one whose changes look implausible.

    Fetches the tree again, and publishes it only if it is still the snapshot with DIGEST.
    Exit codes: 0 published, 1 nothing is held or failed, 3 the source returns another snapshot now.
    """
    settings = load_settings(config)
    if not DIGEST.fullmatch(digest):
        raise ConfigError(f"digest {digest!r} is not 16 lower-case hex digits, as `status` shows")

    async def publish() -> int:
        async with open_app(settings, [catalog]) as opened:
            approval = approve_and_record(opened.catalogs[catalog], opened.server, digest)
            result = await result_of(approval)
        return report(catalog, result, "approved: ")

    signals.run(publish())
