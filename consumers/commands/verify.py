"""`category-consumer verify`."""

import sys

from consumers import stream
from consumers.commands.options import ToOption
from consumers.errors import CannotCompare
from consumers.mirror import Mirror
from consumers.sql import database
from consumers.verify import verify as compare
from plumbing import command, server
from plumbing.command import CatalogArgument, ConfigOption, settings_of
from plumbing.config import Settings, check_catalog_name
from plumbing.embedded import Stay
from plumbing.errors import Error


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
