"""What every command does alike: `--config`, one line per error, exit codes, signals."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from plumbing import config, logs
from plumbing.config import Settings
from plumbing.errors import Error

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


def main(app: Callable[[], None]) -> NoReturn:
    """Run `app` and exit: an Error becomes its message on stderr and its exit code."""
    try:
        app()
    except Error as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"error: {line}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    sys.exit(0)


def settings_of(file: Path | None) -> Settings:
    """Load the configuration and set up the logs."""
    settings = config.load(file)
    logs.configure(settings)
    return settings


def check_named(file: Path | None) -> None:
    """Check the configuration that a command was given, though it needs none."""
    if file is not None:
        config.load(file)


def run(main_: Coroutine[Any, Any, int]) -> NoReturn:
    """Run one command to its end and exit with the code that it returns."""
    raise typer.Exit(asyncio.run(main_))


async def until_stopped(work: Awaitable[int]) -> int:
    """Await `work`; a stop signal cancels it, lets it clean up, and counts as success.

    Returns the exit code of `work`, or 0 if it was stopped.
    """
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop() -> None:
        stopped.set()
        task.cancel()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if not stopped.is_set():
            raise
        return 0
    finally:
        for number in STOP_SIGNALS:
            with contextlib.suppress(ValueError):
                loop.remove_signal_handler(number)
