"""`category-publisher status`: one look that answers whether everything is fine."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import orjson
from rich.console import Console, RenderableType
from rich.live import Live

from plumbing import clock
from plumbing.config import Settings
from plumbing.embedded import Stay
from plumbing.errors import RedisError
from plumbing.server import Client, Server, opened
from publisher import show
from publisher.fine import Problem, problems
from publisher.overview import all_catalogs, overviews

NOT_FINE: Final = 1
HELD: Final = 3
WATCH_SECONDS: Final = 2.0
WIDE: Final = 250
"""Columns of an output that is no terminal."""

Looked = list[tuple[dict[str, Any], list[Problem]]]
"""Each catalog as `overviews` gives it, and what is not fine about it."""


async def once(settings: Settings, *, as_json: bool) -> int:
    """Print what stands in Redis, and return the exit code that it deserves. Raises RedisError."""
    async with opened(settings, Stay.BORROW) as server, server.client() as client:
        looked = await _look(settings, server, client)
    if as_json:
        sys.stdout.write(orjson.dumps(_told(looked), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _console().print(show.overview(looked), soft_wrap=True)
    return _code(problem for _, found in looked for problem in found)


async def watch(settings: Settings) -> int:
    """Show it anew again and again, until cancelled; what is not fine stands on top."""
    console = _console()
    async with opened(settings, Stay.BORROW) as server, server.client() as client:
        with _screen(console) as show_on:
            while True:
                show_on(await _shown(settings, server, client, console.height))
                await asyncio.sleep(WATCH_SECONDS)


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
    looked.sort(key=lambda each: not each[1])
    return show.overview(looked, limit=max(1, height // 2))


async def _look(settings: Settings, server: Server, client: Client) -> Looked:
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
