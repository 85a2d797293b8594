"""The command `category-consumer` (contract, 7): options, output and exit codes, nothing else.

Exit codes: 0 done or stopped, 1 failed, 2 wrong command line or configuration; of `verify` 0
equal, 1 different, 2 could not compare.
"""

import os
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, NoReturn

import typer

from consumers import stream
from consumers.errors import CannotCompare
from consumers.mirror import KIND, Mirror
from consumers.reader import Reader
from consumers.screen import JsonScreen, LineScreen
from consumers.sql import database
from consumers.tail import Tail
from consumers.verify import verify as compare
from plumbing import command, server
from plumbing.command import CatalogArgument, ConfigOption, settings_of
from plumbing.config import ENV_TO, Settings, check_catalog_name
from plumbing.embedded import Stay
from plumbing.errors import ConfigError, Error

app = typer.Typer(
    name="category-consumer",
    help="Follows the changes of a catalog that category-publisher publishes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

ToOption = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="URL",
        envvar=ENV_TO,
        help="The database, such as sqlite:///categories.db (relative to this folder). "
        "A URL with a password belongs into the environment variable, "
        "since others can read a command line.",
        show_default=False,
    ),
]
OnceOption = Annotated[
    bool, typer.Option("--once", help="Catch up and exit: 0 done, 1 failed.", show_default=False)
]


def main() -> NoReturn:
    """Run the command line and exit."""
    command.main(app)


def _run(work: Coroutine[Any, Any, int], *, once: bool) -> NoReturn:
    """Run `work`; being stopped is success for who runs until then, not for who catches up."""
    command.run(work if once else command.until_stopped(work))


@app.command()
def mirror(
    catalog: CatalogArgument,
    to: ToOption,
    name: Annotated[
        str, typer.Option("--name", help="The name under which Redis shows how far this is.")
    ] = KIND,
    once: OnceOption = False,
    config: ConfigOption = None,
) -> None:
    """Keep a copy of a catalog in a database, in the tables of the contract.

    Runs until it is stopped (SIGINT, SIGTERM); then it exits with 0.
    """
    check_catalog_name(catalog)
    if not name:
        raise ConfigError("--name: a consumer's name is not empty")
    settings = settings_of(config)
    _run(_mirror(settings, catalog, to, name, once=once), once=once)


async def _mirror(settings: Settings, catalog: str, to: str, name: str, *, once: bool) -> int:
    async with (
        database.opened(to) as copy,
        server.opened(settings, Stay.BORROW if once else Stay.WAIT) as redis,
        stream.opened(redis, catalog, once=once) as events,
    ):
        await Reader(events, Mirror(copy, catalog), name, once=once).run()
    return 0


@app.command()
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
        _run(_tail(settings, catalog, lines, json=json, once=once), once=once)
    except BrokenPipeError:  # whoever read this has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _tail(settings: Settings, catalog: str, lines: int, *, json: bool, once: bool) -> int:
    screen = JsonScreen() if json else LineScreen()
    async with (
        server.opened(settings, Stay.BORROW if once else Stay.WAIT) as redis,
        stream.opened(redis, catalog, once=once) as events,
    ):
        await Tail(events, screen, once=once).run(lines)
    return 0


@app.command()
def verify(catalog: CatalogArgument, to: ToOption, config: ConfigOption = None) -> None:
    """Compare a mirror's copy with the catalog in Redis.

    Exit codes: 0 equal, 1 different, 2 could not compare.
    """
    check_catalog_name(catalog)
    settings = settings_of(config)
    try:
        command.run(_verify(settings, catalog, to))
    except Error as error:
        raise CannotCompare(str(error)) from error


async def _verify(settings: Settings, catalog: str, to: str) -> int:
    async with (
        database.opened(to, must_exist=True) as copy,
        server.opened(settings, Stay.BORROW) as redis,
        stream.opened(redis, catalog, once=True) as events,
    ):
        verdict = await compare(events, Mirror(copy, catalog))
    outcome = "different" if verdict.differences else "equal"
    lines = [f"{catalog}: {outcome}: {verdict.categories} categories at {verdict.position}"]
    sys.stdout.write("\n".join([*lines, *verdict.differences]) + "\n")
    return 1 if verdict.differences else 0
