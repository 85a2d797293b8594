"""Runs a projection in a database, until stopped or with `--once`."""

from pathlib import Path
from typing import NoReturn

from consumers.following import runner
from consumers.sql.database import open_database
from consumers.sql.projection import SqlProjection
from plumbing.cli.options import load_common_settings
from plumbing.cli.signals import run, until_stopped
from plumbing.config.settings import check_catalog_name
from plumbing.errors import ConfigError


def follow(
    kind: type[SqlProjection], catalog: str, to: str, name: str, config: Path | None, *, once: bool
) -> NoReturn:
    """Keep the projection `kind` of `catalog` in database `to` in sync.

    `name` is the consumer's name in Redis. A stop signal is a success (exit code 0), but not with
    `once`.
    """
    check_catalog_name(catalog)
    if not name or not name.isprintable():
        raise ConfigError("--name: use at least one character, and only printable ones")
    settings = load_common_settings(config)

    async def work() -> int:
        async with open_database(to) as database:
            await runner.follow(kind(database, catalog), catalog, settings, name=name, once=once)
        return 0

    run(work() if once else until_stopped(work()))
