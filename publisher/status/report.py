"""Checks Redis and all catalogs, and prints the result, for `status`."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

import orjson
import redis.exceptions
from redis.asyncio.cluster import RedisCluster
from rich.console import Console, RenderableType
from rich.live import Live

from plumbing import clock
from plumbing.config.settings import Settings
from plumbing.errors import EmbeddedServerError, Error, RedisError
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.server import Client, Server, open_server
from plumbing.redis.server_checks import write_refusals
from publisher.errors import Held
from publisher.status import terminal
from publisher.status.overview import read_catalog_names, read_overviews
from publisher.status.problems import CheckedCatalog, Problem, check_catalogs

WATCH_SECONDS: Final = 2.0
WIDE: Final = 250
"""Columns of an output that is not a terminal."""


class StatusReport(NamedTuple):
    """The result of one check of Redis and all catalogs."""

    catalogs: list[CheckedCatalog]
    redis_problems: list[str]

    @property
    def problems(self) -> list[Problem]:
        """All problems: those of Redis itself first."""
        of_catalogs = [problem for each in self.catalogs for problem in each.problems]
        return [*map(Problem, self.redis_problems), *of_catalogs]

    @property
    def exit_code(self) -> int:
        """0 if all is fine; if not, 1 wins over 3, as with `sync`."""
        codes = {
            Held.exit_code if problem.is_hold else Error.exit_code for problem in self.problems
        }
        return min(codes, default=0)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `status --json` prints."""
        catalogs = [
            {**overview.to_json(), "problems": [problem.text for problem in problems]}
            for overview, problems in self.catalogs
        ]
        fine = not self.problems
        return {"fine": fine, "error": "", "redis": self.redis_problems, "catalogs": catalogs}


async def print_status(settings: Settings, *, as_json: bool) -> int:
    """Print what Redis holds and what is wrong with it; return the exit code.

    Raises RedisError and EmbeddedServerError; in JSON they are also printed to standard output.
    """
    try:
        async with _open_server(settings) as (server, client):
            report = await _check(settings, server, client)
    except (RedisError, EmbeddedServerError) as error:
        if as_json:
            _print_json({"fine": False, "error": str(error), "redis": [], "catalogs": []})
        raise
    if as_json:
        _print_json(report.to_json())
    else:
        table = terminal.status_table(report.catalogs, report.redis_problems)
        _console().print(table, soft_wrap=True)
    return report.exit_code


async def watch_status(settings: Settings) -> int:
    """Print the status every two seconds until cancelled.

    Catalogs with problems come first.
    """
    console = _console()
    async with _open_server(settings) as (server, client):
        with _screen(console) as show:
            while True:
                try:
                    report = await _check(settings, server, client)
                except RedisError as error:
                    show(terminal.text(str(error), "red"))
                else:
                    report.catalogs.sort(key=lambda each: not each.problems)
                    limit = max(1, console.height // 2)
                    show(terminal.status_table(report.catalogs, report.redis_problems, limit=limit))
                await asyncio.sleep(WATCH_SECONDS)


@asynccontextmanager
async def _open_server(settings: Settings) -> AsyncIterator[tuple[Server, Client]]:
    """Open the server even if it does not answer: a Cluster may miss a part."""
    mode = EmbeddedMode.START_IF_NEEDED if settings.redis_url is None else EmbeddedMode.WAIT
    async with open_server(settings, mode) as server, server.client() as client:
        yield server, client


def _console() -> Console:
    """Return a console that folds no lines unless standard output is a terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


@contextmanager
def _screen(console: Console) -> Iterator[Callable[[RenderableType], None]]:
    """Return a function that prints its argument.

    On a terminal each text replaces the last one.
    """
    if not console.is_terminal:
        yield console.print
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        yield partial(live.update, refresh=True)


async def _check(settings: Settings, server: Server, client: Client) -> StatusReport:
    """Check Redis and all catalogs.

    If the names of all catalogs cannot be read, the configured ones are still shown: in a Cluster
    the set of names is in one slot, the catalogs are in others.
    """
    known: list[str] = []
    redis_problems: list[str] = []
    with server.explain_errors():
        try:
            known = await read_catalog_names(client)
        except RedisError as error:
            redis_problems.append(str(error))
        except redis.exceptions.RedisError as error:
            if not isinstance(client, RedisCluster):
                raise
            redis_problems.append(str(server.error(error)))
        names = sorted({*settings.catalogs, *known})
        overviews = await read_overviews(client, names)
        redis_problems += await write_refusals(server, client)
    configured = set(settings.catalogs or names)
    return StatusReport(check_catalogs(overviews, configured, clock.now()), redis_problems)


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
