"""`category-publisher diff`."""

import sys

import orjson
from rich.console import Console

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import CatalogArgument, ConfigOption, load_settings
from plumbing.config.settings import Settings
from publisher.app import configured_names, open_app
from publisher.commands.options import AcceptOption, JsonOption
from publisher.commands.poll_output import HELD
from publisher.core import event
from publisher.polling.poll import compare
from publisher.status import terminal as show
from publisher.status.phrases import format_counts

app = new_app()

SHOWN_CHANGES = 50


@app.command()
def diff(
    catalog: CatalogArgument,
    json: JsonOption = False,
    accept_origin: AcceptOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what a poll would publish; write nothing.

    Exit codes: 0 whatever it finds, 3 if it would be held, 1 failed.
    """
    settings = load_settings(config)
    names = configured_names(settings, [catalog])
    signals.run(_diff(settings, names[0], as_json=json, accept=accept_origin))


async def _diff(settings: Settings, name: str, *, as_json: bool, accept: bool) -> int:
    async with open_app(settings, [name]) as opened_:
        with opened_.server.errors_explained():
            found = await compare(opened_.catalogs[name], accept_origin=accept)
    if as_json:
        for change in found.changes:
            told = {"type": f"category.{change.type}", "data": event.data(change)}
            sys.stdout.write(orjson.dumps(told).decode() + "\n")
    else:
        console = Console(highlight=False)
        console.print(show.changes_table(found.changes, SHOWN_CHANGES), soft_wrap=True)
        console.print(f"{name}: {format_counts(found.counts)}")
    for reason in found.hold_reasons:
        sys.stderr.write(f"{name}: would be held: {reason}\n")
    return HELD if found.hold_reasons else 0
