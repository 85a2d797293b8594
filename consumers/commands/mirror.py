"""`category-consumer mirror`: keeps a copy of a catalog in a database."""

from consumers.commands.follow import follow
from consumers.commands.options import NameOption, OnceOption, ToOption
from consumers.sql.mirror import Mirror
from plumbing.cli.lazy_group import new_app
from plumbing.cli.options import CatalogArgument, ConfigOption

app = new_app()


@app.command()
def mirror(
    catalog: CatalogArgument,
    to: ToOption,
    name: NameOption = Mirror.kind,
    once: OnceOption = False,
    config: ConfigOption = None,
) -> None:
    """Keep a copy of a catalog in a database.

    Runs until it is stopped (SIGINT, SIGTERM).

    Exit codes: 0 stopped, or caught up with --once, 1 failed.
    """
    follow(Mirror, catalog, to, name, config, once=once)
