"""The sandbox as a server: inside a test's event loop, or as a command."""

import asyncio
import errno
import sys
from typing import Final, Self

from aiohttp import web

from publisher.sandbox.api import Api
from publisher.sandbox.errors import CannotListen
from publisher.sandbox.options import SandboxOptions

HOST: Final = "127.0.0.1"
GRACE: Final = 0.1
"""Seconds for open requests when the sandbox stops; one may be slow or dripping on purpose."""
INTRODUCTION: Final = """\
The sandbox is a TikTok Shop API at {url}
Its credentials are public and good for nothing else. Ctrl-C stops it.

Paste this into publisher.toml:

[catalogs.us]
source = "tiktok_shop"
poll_every = "10s"
locale = "en-US"
category_version = "v2"
shop_cipher = "{options.shops[0].cipher}"

[tiktok_shop]
api_url = "{url}"
auth_url = "{url}"

and this into the shell that runs the publisher:

export CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_KEY='{options.app_key}'
export CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET='{options.app_secret}'
export CATEGORY_PUBLISHER_TIKTOK_SHOP__ACCESS_TOKEN='{options.access_token}'
export CATEGORY_PUBLISHER_TIKTOK_SHOP__REFRESH_TOKEN='{options.refresh_token}'

To try `category-publisher authorize` instead of the two tokens, use this code, good once:
{options.auth_code}

Show its requests and what it served: curl {url}/sandbox
Go on to the next tree now: curl -X POST {url}/sandbox/next
"""


class Sandbox:
    """A TikTok Shop API on loopback that runs as long as its context.

    `api` is its state: what it was asked and has served, and faults that may be replaced.
    `port` is the port that it listens on, or did until it stopped.
    """

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        self.port = self.options.port
        self.api = Api(self.options)
        self._runner = web.AppRunner(
            self.api.app(), access_log=None, handler_cancellation=True, shutdown_timeout=GRACE
        )

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self.port).start()
        except (OSError, OverflowError) as error:
            await self._runner.cleanup()
            # An OverflowError has neither `strerror` nor `errno`.
            why = getattr(error, "strerror", "a port is a number up to 65535")
            advice = "choose another with --port"
            if getattr(error, "errno", None) == errno.EADDRINUSE:
                why, advice = "another program uses it", f"{advice}, or --port 0 for any"
            where = f"the sandbox cannot listen on {HOST}, port {self.port}"
            raise CannotListen(f"{where}: {why}; {advice}") from error
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The address of the API and of the token server."""
        return f"http://{HOST}:{self.port}"


async def serve(options: SandboxOptions) -> int:
    """Run a sandbox until cancelled; print its address and how to use it."""
    async with Sandbox(options) as sandbox:
        sys.stdout.write(INTRODUCTION.format(url=sandbox.url, options=options))
        sys.stdout.flush()
        await asyncio.Event().wait()
    return 0
