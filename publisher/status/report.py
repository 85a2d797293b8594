"""`category-publisher status`: one look that answers whether everything is fine."""

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
from plumbing.errors import EmbeddedServerError, RedisError
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.refusing import write_refusals
from plumbing.redis.server import Client, Server, open_server
from publisher.status import terminal as show
from publisher.status.overview import read_catalog_names, read_overviews
from publisher.status.problems import Problem, problems

NOT_FINE: Final = 1
HELD: Final = 3
WATCH_SECONDS: Final = 2.0
WIDE: Final = 250
"""Columns of an output that is no terminal."""


class StatusReport(NamedTuple):
    """What one look found."""

    catalogs: list[tuple[dict[str, Any], list[Problem]]]
    """Each as `read_overviews` gives it, and what is not fine about it."""
    of_redis: list[str]
    """What is not fine about Redis itself."""


async def print_status(settings: Settings, *, as_json: bool) -> int:
    """Print what stands in Redis, and return the exit code that it deserves.

    Raises RedisError and EmbeddedServerError, which in JSON are told on standard output as well.
    """
    try:
        async with _opened(settings) as (server, client):
            looked = await _look(settings, server, client)
    except (RedisError, EmbeddedServerError) as error:
        if as_json:
            _write({"fine": False, "error": str(error), "redis": [], "catalogs": []})
        raise
    if as_json:
        _write(_told(looked))
    else:
        _console().print(show.overview(looked.catalogs, looked.of_redis), soft_wrap=True)
    return _code(looked)


async def watch_status(settings: Settings) -> int:
    """Show it anew again and again, until cancelled; what is not fine stands on top."""
    console = _console()
    async with _opened(settings) as (server, client):
        with _screen(console) as show_on:
            while True:
                show_on(await _shown(settings, server, client, console.height))
                await asyncio.sleep(WATCH_SECONDS)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Server, Client]]:
    """Open the server without a question: a Cluster of which a part is away can be looked at."""
    mode = EmbeddedMode.START_IF_NEEDED if settings.redis_url is None else EmbeddedMode.WAIT
    async with open_server(settings, mode) as server, server.client() as client:
        yield server, client


def _console() -> Console:
    """Return a console that folds nothing where there is no terminal to fold it for."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


@contextmanager
def _screen(console: Console) -> Iterator[Callable[[RenderableType], None]]:
    """Give what shows one thing after another: in the same place, if that is a terminal."""
    if not console.is_terminal:
        yield console.print
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        yield partial(live.update, refresh=True)


async def _shown(settings: Settings, server: Server, client: Client, height: int) -> RenderableType:
    try:
        looked = await _look(settings, server, client)
    except RedisError as error:
        return show.failure(str(error))
    looked.catalogs.sort(key=lambda each: not each[1])
    return show.overview(looked.catalogs, looked.of_redis, limit=max(1, height // 2))


async def _look(settings: Settings, server: Server, client: Client) -> StatusReport:
    with server.errors_explained():
        known, of_redis = await _known(server, client)
        names = sorted({*settings.catalogs, *known})
        catalogs = await read_overviews(client, names)
        of_redis += await write_refusals(server, client)
    now, kept = clock.now(), set(settings.catalogs or names)
    judged = [(each, problems(each, now, kept=each["catalog"] in kept)) for each in catalogs]
    return StatusReport(judged, of_redis)


async def _known(server: Server, client: Client) -> tuple[list[str], list[str]]:
    """Return all catalogs that were ever polled, or none and why that cannot be known.

    Then those that are configured can be looked at all the same: in a Cluster the set of all is in
    one slot, and the catalogs in others.
    """
    try:
        return await read_catalog_names(client), []
    except RedisError as error:
        return [], [str(error)]
    except redis.exceptions.RedisError as error:
        if not isinstance(client, RedisCluster):
            raise
        return [], [str(server.error(error))]


def _told(looked: StatusReport) -> dict[str, Any]:
    catalogs = [
        {**each, "lags": {name: lag._asdict() for name, lag in each["lags"].items()}}
        | {"problems": [problem.what for problem in found]}
        for each, found in looked.catalogs
    ]
    fine = not _problems(looked)
    return {"fine": fine, "error": "", "redis": looked.of_redis, "catalogs": catalogs}


def _write(told: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")


def _problems(looked: StatusReport) -> list[Problem]:
    return [*map(Problem, looked.of_redis), *(each for _, some in looked.catalogs for each in some)]


def _code(looked: StatusReport) -> int:
    codes = {HELD if problem.held else NOT_FINE for problem in _problems(looked)}
    return min(codes, default=0)  # as with `sync`, 1 wins over 3
