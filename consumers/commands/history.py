"""`category-consumer history`: the projection, and the two questions that its store answers."""

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, TypeAlias

import typer

from consumers.commands.follow import follow
from consumers.commands.options import NAME_HELP, OnceOption, ToOption
from consumers.contract import history_point as moment
from consumers.event_output import ignore_closed_stdout
from consumers.history import reader as past
from consumers.history.answers import show_changes, show_tree
from consumers.history.output import JsonScreen, LineScreen, Screen
from consumers.history.projection import History
from consumers.history.reader import Past
from consumers.sql.database import open_database
from plumbing.cli import options as command
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import CatalogArgument, ConfigOption
from plumbing.config.settings import check_catalog_name
from plumbing.errors import ConfigError

app = new_app()

MOMENT_HELP = (
    "A MOMENT is a time (2026-11-23, 2026-11-23T09:40:03Z; UTC if it names no offset), a sequence "
    "(105, of the newest epoch that has it) or an event's id (9f3c1a2b-105)."
)

Question: TypeAlias = Callable[[Past, Screen], Awaitable[str]]
"""Shows an answer, and returns what to say of it on standard error."""


@app.command()
def history(
    catalog: CatalogArgument,
    to: ToOption,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="MOMENT",
            help="Show the tree as it was then, and exit. " + MOMENT_HELP,
            show_default=False,
        ),
    ] = None,
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--between",
            metavar="FROM TO",
            help="Show what changed after the first moment, up to the second one, and exit.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Show categories or changes as JSON, one a line.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option("--name", help=f"{NAME_HELP} Default: {History.kind}.", show_default=False),
    ] = None,
    once: OnceOption = False,
    config: ConfigOption = None,
) -> None:
    """Keep every version of every category, or ask what was.

    Runs until it is stopped (SIGINT, SIGTERM); then it exits with 0. With --as-of or --between it
    asks that database, needs no Redis, and exits: 0 answered, 1 not recorded.
    """
    check_catalog_name(catalog)
    question = _question(as_of, between)
    if question is None:
        if json:
            raise ConfigError("--json: only with --as-of or --between")
        follow(History, catalog, to, History.kind if name is None else name, config, once=once)
    if once or name is not None:
        raise ConfigError("--once, --name: not with --as-of or --between, which follow nothing")
    command.validate_config_file(config)
    with ignore_closed_stdout():
        command.run(_ask(question, catalog, to, JsonScreen() if json else LineScreen()))


def _question(as_of: str | None, between: tuple[str, str] | None) -> Question | None:
    """Return what the command line asks; None if nothing."""
    if as_of is not None and between is not None:
        raise ConfigError("--as-of, --between: one question at a time: take one of the two")
    if as_of is not None:
        return partial(show_tree, moment=moment.parse(as_of))
    if between is not None:
        after, until = (moment.parse(each) for each in between)
        return partial(show_changes, after=after, until=until)
    return None


async def _ask(question: Question, catalog: str, to: str, screen: Screen) -> int:
    async with open_database(to, must_exist=True) as store:
        summary = await question(await past.load(store, catalog), screen)
    screen.flush()
    sys.stderr.write(f"{catalog}: {summary}\n")
    return 0
