"""`category-publisher sync`."""

import asyncio
from typing import Annotated

import typer

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import ConfigOption, load_settings
from plumbing.config.settings import Settings
from plumbing.errors import ConfigError, Error
from publisher.app import App, configured_names, open_app
from publisher.commands.options import AcceptOption
from publisher.commands.poll_output import report
from publisher.polling.poll import PollResult
from publisher.polling.recorded_poll import poll_and_record

app = new_app()


@app.command()
def sync(
    catalogs: Annotated[
        list[str] | None,
        typer.Argument(metavar="CATALOG", help="Catalogs to poll; all, if none is named."),
    ] = None,
    accept_origin: AcceptOption = False,
    config: ConfigOption = None,
) -> None:
    """Poll once and exit, for cron.

    Exit codes: 0 done or unchanged, 1 failed, 3 a snapshot is held; of several catalogs 1 wins.
    """
    settings = load_settings(config)
    if accept_origin and not catalogs:
        raise ConfigError("--accept-origin wants the catalog's name beside it")
    signals.run(_sync(settings, configured_names(settings, catalogs or ()), accept=accept_origin))


async def _sync(settings: Settings, names: list[str], *, accept: bool) -> int:
    async with open_app(settings, names) as opened_:
        polls = (_polled(opened_, name, accept=accept) for name in names)
        found = await asyncio.gather(*polls)
    codes = [report(name, polled) for name, polled in zip(names, found, strict=True)]
    return 1 if 1 in codes else max(codes)


async def _polled(opened_: App, name: str, *, accept: bool) -> PollResult | Error:
    try:
        return await poll_and_record(opened_.catalogs[name], opened_.server, accept_origin=accept)
    except Error as error:
        return error
