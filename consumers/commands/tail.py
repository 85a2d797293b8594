"""`category-consumer tail`: prints the events of a catalog."""

from typing import Annotated, Final, get_args

from typer import Option

from consumers.commands.options import OnceOption
from consumers.contract.history_point import parse
from consumers.contract.model import EventType
from consumers.event_output import JsonOutput, TextOutput, ignore_closed_stdout
from consumers.following.catalog_client import open_catalog
from consumers.tail.start import start_of_last, start_since
from consumers.tail.tail import Tail
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import CatalogArgument, ConfigOption, load_common_settings
from plumbing.cli.signals import run, until_stopped
from plumbing.config.settings import check_catalog_name
from plumbing.errors import ConfigError

app = new_app()

LINES: Final = 10
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)


@app.command()
def tail(
    catalog: CatalogArgument,
    json: Annotated[bool, Option("--json", help="Print each event's JSON, one a line.")] = False,
    types: Annotated[
        list[str] | None,
        Option(
            "--type",
            metavar="added|updated|removed",
            help="Print only events of this type; may be repeated.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        Option(
            metavar="MOMENT",
            help="Start with the first event at or after a time (2026-11-23, "
            "2026-11-23T09:40:03Z; UTC if it has no offset), a sequence (105, of the current "
            "epoch) or an event's id (9f3c1a2b-105).",
        ),
    ] = None,
    lines: Annotated[
        int | None,
        Option(metavar="N", min=0, help=f"Start with the last N events. Default: {LINES}."),
    ] = None,
    once: OnceOption = False,
    config: ConfigOption = None,
) -> None:
    """Print a catalog's last events, then each new one.

    Errors in the history are written to standard error, whatever types are printed. On a
    terminal the lines have colours, unless the environment variable NO_COLOR is set.

    Runs until it is stopped (SIGINT, SIGTERM).

    Exit codes: 0 stopped, or caught up with --once, 1 failed.
    """
    check_catalog_name(catalog)
    if since is not None and lines is not None:
        raise ConfigError("--since, --lines: use only one of the two")
    start = (LINES if lines is None else lines) if since is None else parse(since)
    words = [word.removeprefix("category.") for word in types or []]
    if unknown := [word for word in words if word not in EVENT_TYPES]:
        raise ConfigError(f"--type: {unknown[0]!r} is unknown; known: {', '.join(EVENT_TYPES)}")
    chosen = {type_ for type_ in EVENT_TYPES if not words or type_ in words}
    settings = load_common_settings(config)
    output = JsonOutput() if json else TextOutput()

    async def work() -> int:
        async with open_catalog(settings, catalog, once=once) as client:
            if isinstance(start, int):
                offset = await start_of_last(client, start, chosen)
            else:
                offset = await start_since(client, start, output.warn)
            await Tail(client, output, chosen, once=once).run(offset)
        return 0

    with ignore_closed_stdout():
        run(work() if once else until_stopped(work()))
