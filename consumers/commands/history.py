"""`category-consumer history`: records a history, or prints what was recorded."""

import sys
from typing import Annotated

from typer import Option

from consumers.commands.follow import follow
from consumers.commands.options import NAME_HELP, OnceOption, ToOption
from consumers.contract.history_point import HistoryPoint, parse
from consumers.event_output import ignore_closed_stdout
from consumers.history.output import HistoryOutput, JsonHistoryOutput, TextHistoryOutput
from consumers.history.projection import HistoryProjection
from consumers.history.query import read_changes, read_tree
from consumers.history.reader import HistoryReader, open_history
from consumers.history.store import Resync
from consumers.sql.database import open_database
from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import CatalogArgument, ConfigOption, validate_config_file
from plumbing.config.settings import check_catalog_name
from plumbing.errors import ConfigError

app = new_app()

MOMENT_HELP = (
    "A MOMENT is a time (2026-11-23, 2026-11-23T09:40:03Z; UTC if it has no offset), a sequence "
    "(105, of the newest epoch that has it) or an event's id (9f3c1a2b-105)."
)


@app.command()
def history(
    catalog: CatalogArgument,
    to: ToOption,
    as_of: Annotated[
        str | None,
        Option(metavar="MOMENT", help="Print the tree as it was then, and exit. " + MOMENT_HELP),
    ] = None,
    between: Annotated[
        tuple[str, str] | None,
        Option(
            metavar="FROM TO",
            help="Print what changed after the first MOMENT, up to the second one, and exit.",
        ),
    ] = None,
    json: Annotated[
        bool, Option("--json", help="Print categories or changes as JSON, one a line.")
    ] = False,
    name: Annotated[
        str | None, Option(help=f"{NAME_HELP} Default: {HistoryProjection.kind}.")
    ] = None,
    once: OnceOption = False,
    config: ConfigOption = None,
) -> None:
    """Record the history of a catalog, or print what was recorded.

    Runs until it is stopped (SIGINT, SIGTERM). With --as-of or --between it only reads the
    database, needs no Redis, and exits.

    Exit codes: 0 stopped, caught up or printed, 1 failed or not recorded.
    """
    check_catalog_name(catalog)
    if as_of is not None and between is not None:
        raise ConfigError("--as-of, --between: one query at a time: use one of the two")
    points = [parse(moment) for moment in (as_of, *(between or ())) if moment is not None]
    if not points:
        if json:
            raise ConfigError("--json: only with --as-of or --between")
        name = HistoryProjection.kind if name is None else name
        follow(HistoryProjection, catalog, to, name, config, once=once)
    if once or name is not None:
        raise ConfigError("--once, --name: not with --as-of or --between, which follow nothing")
    validate_config_file(config)
    output = JsonHistoryOutput() if json else TextHistoryOutput()

    async def work() -> int:
        show = show_tree if as_of is not None else show_changes
        async with open_database(to, must_exist=True) as database:
            summary = await show(await open_history(database, catalog), output, *points)
        output.flush()
        sys.stderr.write(f"{catalog}: {summary}\n")
        return 0

    with ignore_closed_stdout():
        signals.run(work())


async def show_tree(reader: HistoryReader, output: HistoryOutput, point: HistoryPoint) -> str:
    """Print the tree as of `point`, and return a summary.

    Raises NotRecorded as `HistoryReader.find_position` does.
    """
    position = await reader.find_position(point)
    rows = await read_tree(reader, position)
    output.tree(rows)
    return f"{len(rows)} categories as of {reader.describe(position)}"


async def show_changes(
    reader: HistoryReader, output: HistoryOutput, after: HistoryPoint, until: HistoryPoint
) -> str:
    """Print what changed after `after`, up to `until`, and return a summary.

    Raises NotRecorded as `HistoryReader.find_position` does, and ConfigError if `after` is later
    than `until`.
    """
    first, last = await reader.find_position(after), await reader.find_position(until)
    # two times are compared as given: both may mean the end of the history
    is_reversed = isinstance(after, str) and isinstance(until, str) and after > until
    if is_reversed or (first.resync, first.sequence) > (last.resync, last.sequence):
        raise ConfigError(f"--between: {after} is after {until}: name the earlier one first")
    resyncs = changes = 0
    async for item in read_changes(reader, first, last):
        output.recorded(item)
        resyncs += isinstance(item, Resync)
        changes += not isinstance(item, Resync)
    between = f"after {reader.describe(first)} up to {reader.describe(last)}"
    return f"{changes} changes, {resyncs} resyncs, {between}"
