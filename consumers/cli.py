"""The command `category-consumer` (contract, 7), put together.

Exit codes: 0 done or stopped, 1 failed, 2 wrong command line or configuration; of `verify` 0
equal, 1 different, 2 could not compare.
"""

from typing import NoReturn

import typer

from consumers.commands import map as map_
from consumers.commands.history import history
from consumers.commands.mirror import mirror
from consumers.commands.tail import tail
from consumers.commands.verify import verify
from plumbing import command

app = typer.Typer(
    name="category-consumer",
    help="Follows the changes of a catalog that category-publisher publishes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
for each in (mirror, history, tail, verify):
    app.command()(each)
app.add_typer(map_.app, name="map")


def main() -> NoReturn:
    """Run the command line and exit."""
    command.main(app)
