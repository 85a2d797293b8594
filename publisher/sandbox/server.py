"""The sandbox as a server: inside a test's event loop, or as a command."""

import asyncio
import errno
import sys
from collections import Counter
from typing import Final, Self

from aiohttp import web

from publisher.sandbox.api import Api
from publisher.sandbox.errors import CannotListen
from publisher.sandbox.faults import Fault
from publisher.sandbox.options import SandboxOptions
from publisher.sandbox.tree import Tree

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
shop_cipher = "{cipher}"

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

    `faults` may be replaced or changed while it runs.
    """

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        self._port = self.options.port
        self._api = Api(self.options)
        self._runner = web.AppRunner(
            self._api.app(), access_log=None, handler_cancellation=True, shutdown_timeout=GRACE
        )

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self._port).start()
        except (OSError, OverflowError) as error:
            await self._runner.cleanup()
            raise _listen_error(self._port, error) from error
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        """The port that it listens on, or did until it stopped."""
        return self._port

    @property
    def url(self) -> str:
        """The address of the API and of the token server."""
        return f"http://{HOST}:{self.port}"

    @property
    def app_key(self) -> str:
        """The only app's key."""
        return self.options.app_key

    @property
    def app_secret(self) -> str:
        """The only app's secret."""
        return self.options.app_secret

    @property
    def auth_code(self) -> str:
        """The authorization code, which is good once."""
        return self.options.auth_code

    @property
    def shop_cipher(self) -> str:
        """The first shop's cipher."""
        return self.options.shops[0].cipher

    @property
    def access_token(self) -> str:
        """The access token that was issued last."""
        return self._api.tokens.newest.access_token

    @property
    def refresh_token(self) -> str:
        """The refresh token that was issued last."""
        return self._api.tokens.newest.refresh_token

    @property
    def requests(self) -> Counter[str]:
        """The requests per path; an unknown path or a wrong method counts as `other`."""
        return self._api.requests

    @property
    def served(self) -> Tree:
        """The rows of the last list that was sent completely, faulty or not; or none."""
        return self._api.served or []

    @property
    def faults(self) -> list[Fault]:
        """The current faults; their `WHICH` counts from the sandbox's start."""
        return self._api.faults

    @faults.setter
    def faults(self, faults: list[Fault]) -> None:
        self._api.faults = faults

    def next(self) -> None:
        """Go on to the next tree."""
        self._api.trees.advance()


async def serve(options: SandboxOptions) -> int:
    """Run a sandbox until cancelled; print its address and how to use it."""
    async with Sandbox(options) as sandbox:
        cipher = sandbox.shop_cipher
        sys.stdout.write(INTRODUCTION.format(url=sandbox.url, cipher=cipher, options=options))
        sys.stdout.flush()
        await asyncio.Event().wait()
    return 0


def _listen_error(port: int, error: OSError | OverflowError) -> CannotListen:
    what = f"the sandbox cannot listen on {HOST}, port {port}"
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return CannotListen(
            f"{what}: another program uses it; choose another with --port, or --port 0 for any"
        )
    why = error.strerror if isinstance(error, OSError) else "a port is a number up to 65535"
    return CannotListen(f"{what}: {why}; choose another with --port")
