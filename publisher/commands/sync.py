"""`category-publisher sync`: polls catalogs once and exits."""

import asyncio
from typing import Annotated

import typer

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import ConfigOption, load_settings
from plumbing.errors import ConfigError
from publisher.app import configured_names, open_app
from publisher.commands.options import AcceptOption
from publisher.commands.poll_output import report, result_of
from publisher.polling.recorded_poll import poll_and_record

app = new_app()


@app.command()
def sync(
    catalogs: Annotated[
        list[str] | None, typer.Argument(metavar="CATALOG", help="Catalogs to poll. Default: all.")
    ] = None,
    accept_origin: AcceptOption = False,
    config: ConfigOption = None,
) -> None:
    """Poll once and exit, for cron.

    Exit codes: 0 changed or unchanged, 1 failed, 3 a snapshot is held; of several catalogs 1 wins.
    """
    settings = load_settings(config)
    if accept_origin and not catalogs:
        raise ConfigError("--accept-origin needs the name of the catalog whose change is accepted")
    names = configured_names(settings, catalogs or ())

    async def poll_all() -> int:
        async with open_app(settings, names) as opened:
            polls = (
                poll_and_record(catalog, opened.server, accept_origin=accept_origin)
                for catalog in opened.catalogs.values()
            )
            results = await asyncio.gather(*map(result_of, polls))
        codes = [report(name, result) for name, result in zip(names, results, strict=True)]
        return 1 if 1 in codes else max(codes)

    signals.run(poll_all())
