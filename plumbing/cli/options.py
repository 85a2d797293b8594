"""What every command does alike: `--config`, its settings, signals."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from signal import Signals
from typing import Annotated, Any, NoReturn

import typer

from plumbing import logs
from plumbing.config import settings as config
from plumbing.config.settings import Settings

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Read this configuration file. Default: publisher.toml in this folder, if there.",
        show_default=False,
    ),
]

UnusedConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Only checked: this command needs no configuration.",
        show_default=False,
    ),
]
"""Of commands that need no configuration: `--config` stands after the name of any (contract, 7)."""

CatalogArgument = Annotated[
    str, typer.Argument(metavar="CATALOG", help="The catalog's name, such as us or uk-en.")
]

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def load_settings(file: Path | None) -> Settings:
    """Load the configuration and set up the logs."""
    settings = config.load(file)
    logs.configure(settings)
    return settings


def validate_config_file(file: Path | None) -> None:
    """Check the configuration that a command was given, though it needs none."""
    if file is not None:
        config.load(file)


def run(main_: Coroutine[Any, Any, int]) -> NoReturn:
    """Run one command to its end and exit with the code that it returns.

    A stop signal lets it clean up; the exit code then is the shell's for that signal.
    """
    raise typer.Exit(asyncio.run(_until_done_or_stopped(main_, lambda number: 128 + number)))


async def until_stopped(work: Awaitable[int], signals: Iterable[Signals] = STOP_SIGNALS) -> int:
    """Await `work`, which runs until it is stopped; that counts as success.

    Returns the exit code of `work`, or 0 if one of `signals` ended it.
    """
    return await _until_done_or_stopped(work, lambda _number: 0, signals)


async def until_stopped_or_reloaded(work: Awaitable[int]) -> int:
    """Do the same for `work` that can be reloaded: SIGHUP does nothing but in `reloading`."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
    return await until_stopped(work, set(STOP_SIGNALS) - {signal.SIGHUP})


@contextlib.contextmanager
def reloading(reload: Callable[[], None]) -> Iterator[None]:
    """Let SIGHUP `reload`, inside `until_stopped_or_reloaded`."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        loop.add_signal_handler(signal.SIGHUP, lambda: None)


async def _until_done_or_stopped(
    work: Awaitable[int],
    code_of: Callable[[Signals], int],
    signals: Iterable[Signals] = STOP_SIGNALS,
) -> int:
    """Await `work`; the first stop signal cancels it, and it may take its time to clean up."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    came: list[Signals] = []

    def stop(number: Signals) -> None:
        came.append(number)
        if len(came) == 1:
            task.cancel()

    for number in signals:
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not came:
            raise
        return code_of(came[0])
    finally:
        for number in signals:
            with contextlib.suppress(ValueError):
                loop.remove_signal_handler(number)
