"""`category-consumer tail`."""

import os
import sys
from typing import Annotated

import typer

from consumers import stream
from consumers.commands.following import run, stay_of
from consumers.commands.options import OnceOption
from consumers.screen import JsonScreen, LineScreen
from consumers.tail import Tail
from plumbing import server
from plumbing.command import CatalogArgument, ConfigOption, settings_of
from plumbing.config import Settings, check_catalog_name


def tail(
    catalog: CatalogArgument,
    json: Annotated[
        bool, typer.Option("--json", help="Print each event's JSON, one a line.")
    ] = False,
    lines: Annotated[
        int, typer.Option("--lines", metavar="N", min=0, help="Begin with the last N events.")
    ] = 10,
    once: OnceOption = False,
    config: ConfigOption = None,
) -> None:
    """Show a catalog's last events, then each new one.

    Runs until it is stopped (SIGINT, SIGTERM); then it exits with 0.
    """
    check_catalog_name(catalog)
    settings = settings_of(config)
    try:
        run(_tail(settings, catalog, lines, json=json, once=once), once=once)
    except BrokenPipeError:  # whoever read this has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _tail(settings: Settings, catalog: str, lines: int, *, json: bool, once: bool) -> int:
    screen = JsonScreen() if json else LineScreen()
    async with (
        server.opened(settings, stay_of(once=once)) as redis,
        stream.opened(redis, catalog, once=once) as events,
    ):
        await Tail(events, screen, once=once).run(lines)
    return 0
