"""`category-publisher status`: one look that answers whether everything is fine."""

import asyncio
import sys
from collections.abc import Iterable
from typing import Any, Final

import orjson
import redis.asyncio
from rich.console import Console, RenderableType
from rich.live import Live

from plumbing import clock
from plumbing.config import Settings
from plumbing.embedded import Stay
from plumbing.errors import RedisError
from plumbing.server import Server, opened
from publisher import show
from publisher.fine import Problem, problems
from publisher.overview import all_catalogs, overviews

NOT_FINE: Final = 1
HELD: Final = 3
WATCH_SECONDS: Final = 2.0

Looked = list[tuple[dict[str, Any], list[Problem]]]
"""Each catalog as `overviews` gives it, and what is not fine about it."""


async def once(settings: Settings, *, as_json: bool) -> int:
    """Print what stands in Redis, and return the exit code that it deserves. Raises RedisError."""
    async with opened(settings, Stay.BORROW) as server, server.client() as client:
        looked = await _look(settings, server, client)
    if as_json:
        sys.stdout.write(orjson.dumps(_told(looked), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        Console(highlight=False).print(show.overview(looked), soft_wrap=True)
    return _code(problem for _, found in looked for problem in found)


async def watch(settings: Settings) -> int:
    """Show it anew again and again, until cancelled; what is not fine stands on top."""
    console = Console(highlight=False)
    async with opened(settings, Stay.BORROW) as server, server.client() as client:
        with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                live.update(await _shown(settings, server, client, console.height), refresh=True)
                await asyncio.sleep(WATCH_SECONDS)


async def _shown(
    settings: Settings, server: Server, client: redis.asyncio.Redis, height: int
) -> RenderableType:
    try:
        looked = await _look(settings, server, client)
    except RedisError as error:
        return show.failure(str(error))
    looked.sort(key=lambda each: not each[1])
    return show.overview(looked, limit=max(1, height // 2))


async def _look(settings: Settings, server: Server, client: redis.asyncio.Redis) -> Looked:
    with server.errors_explained():
        names = sorted({*settings.catalogs, *await all_catalogs(client)})
        catalogs = await overviews(client, names)
    now, kept = clock.now(), set(settings.catalogs or names)
    return [(each, problems(each, now, kept=each["catalog"] in kept)) for each in catalogs]


def _told(looked: Looked) -> dict[str, Any]:
    catalogs = [
        {**each, "lags": {name: lag._asdict() for name, lag in each["lags"].items()}}
        | {"problems": [problem.what for problem in found]}
        for each, found in looked
    ]
    return {"fine": not any(found for _, found in looked), "catalogs": catalogs}


def _code(found: Iterable[Problem]) -> int:
    codes = {HELD if problem.held else NOT_FINE for problem in found}
    return min(codes, default=0)  # as with `sync`, 1 wins over 3
