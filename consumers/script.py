"""Runs a consumer of your own: logs, errors in one line, a clean stop."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn

from plumbing.cli import signals
from plumbing.cli.main import run_app
from plumbing.cli.options import load_common_settings
from plumbing.config.settings import CommonSettings


def run(work: Callable[[CommonSettings], Awaitable[None]]) -> NoReturn:
    """Run `work` with the settings of this folder and the environment; exit.

    The settings are those of publisher.toml and of variables CATEGORY_PUBLISHER_….

    Exit codes: 0 done or stopped (SIGINT, SIGTERM), 1 failed, 2 wrong configuration.
    """

    async def run_work(settings: CommonSettings) -> int:
        await work(settings)
        return 0

    def app() -> None:
        settings = load_common_settings(None)
        sys.exit(asyncio.run(signals.until_stopped(run_work(settings))))

    run_app(app)
