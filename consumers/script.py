"""Running a consumer of one's own as our commands run: logs, errors in one line, a clean stop."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn

from plumbing.cli import main as entry
from plumbing.cli import options as command
from plumbing.config.settings import Settings


def run(work: Callable[[Settings], Awaitable[None]]) -> NoReturn:
    """Run `work` with the configuration (publisher.toml here, environment), and exit.

    Exit codes: 0 done or stopped (SIGINT, SIGTERM), 1 failed, 2 wrong configuration.
    """

    async def done(settings: Settings) -> int:
        await work(settings)
        return 0

    def app() -> None:
        settings = command.load_settings(None)
        sys.exit(asyncio.run(command.until_stopped(done(settings))))

    entry.main(app)
