"""Running a command that follows a catalog: until it is stopped, or with `--once` to the end."""

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn

from consumers import keep
from consumers.commands.options import check_name
from consumers.sql import database
from consumers.sql.projection import SqlProjection
from plumbing import command
from plumbing.command import settings_of
from plumbing.config import Settings, check_catalog_name
from plumbing.embedded import Stay


def run(work: Coroutine[Any, Any, int], *, once: bool) -> NoReturn:
    """Run `work`; being stopped is success for who runs until then, not for who catches up."""
    command.run(work if once else command.until_stopped(work))


def stay_of(*, once: bool) -> Stay:
    """Say what becomes of the embedded server (contract, 7): who stays waits for it."""
    return Stay.BORROW if once else Stay.WAIT


def follow(
    kind: type[SqlProjection], catalog: str, to: str, name: str, config: Path | None, *, once: bool
) -> NoReturn:
    """Keep the projection `kind` of `catalog` in database `to` in step, as consumer `name`."""
    check_catalog_name(catalog)
    check_name(name)
    settings = settings_of(config)
    run(_follow(kind, settings, catalog, to, name, once=once), once=once)


async def _follow(
    kind: type[SqlProjection], settings: Settings, catalog: str, to: str, name: str, *, once: bool
) -> int:
    async with database.opened(to) as store:
        await keep.follow(kind(store, catalog), catalog, settings, name=name, once=once)
    return 0
