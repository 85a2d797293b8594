"""`category-publisher diff`: shows what a poll would publish."""

import sys
from typing import Final

import orjson
from rich.console import Console

from plumbing.cli import signals
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import CatalogArgument, ConfigOption, load_settings
from publisher.app import open_app
from publisher.commands.options import AcceptOption, JsonOption
from publisher.core import event
from publisher.errors import Held
from publisher.polling.poll import compare
from publisher.status.phrases import format_counts
from publisher.status.terminal import changes_table

app = new_app()

MAX_CHANGES: Final = 50


@app.command()
def diff(
    catalog: CatalogArgument,
    json: JsonOption = False,
    accept_origin: AcceptOption = False,
    config: ConfigOption = None,
) -> None:
    """Show what a poll would publish; write nothing.

    Exit codes: 0 compared, with or without changes, 1 failed, 3 the snapshot would be held until
    it is approved.
    """
    settings = load_settings(config)

    async def show_changes() -> int:
        async with open_app(settings, [catalog]) as opened:
            with opened.server.explain_errors():
                comparison = await compare(opened.catalogs[catalog], accept_origin=accept_origin)
        if json:
            for change in comparison.changes:
                line = {"type": f"category.{change.type}", "data": event.data(change)}
                sys.stdout.write(orjson.dumps(line).decode() + "\n")
        else:
            console = Console(highlight=False)
            console.print(changes_table(comparison.changes, MAX_CHANGES), soft_wrap=True)
            console.print(f"{catalog}: {format_counts(comparison.counts)}")
        for reason in comparison.hold_reasons:
            sys.stderr.write(f"{catalog}: would be held: {reason}\n")
        return Held.exit_code if comparison.hold_reasons else 0

    signals.run(show_changes())
