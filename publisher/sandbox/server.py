"""A sandbox that listens: for tests inside of their event loop, and as a command."""

import asyncio
import errno
import sys
from collections import Counter
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from publisher.sandbox.api import Api
from publisher.sandbox.errors import CannotListen
from publisher.sandbox.faults import Fault
from publisher.sandbox.introduction import introduction
from publisher.sandbox.options import SandboxOptions
from publisher.sandbox.tree import Tree

HOST: Final = "127.0.0.1"
GRACE: Final = 0.1
"""Seconds for requests under way when it stops; one may be slow or dripping on purpose."""


class Sandbox:
    """A TikTok Shop API on loopback, up for as long as its context lasts.

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
            raise CannotListen(_reason(self._port, error)) from error
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        """The port that it listens on, or did."""
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
        """How many requests each path had; those to no path and by a wrong method are `other`."""
        return self._api.requests

    @property
    def served(self) -> Tree:
        """The rows of the last list that was sent to its end, damaged or not; at first none."""
        return self._api.served or []

    @property
    def faults(self) -> list[Fault]:
        """The faults in force; `WHICH` counts from the sandbox's start."""
        return self._api.faults

    @faults.setter
    def faults(self, faults: list[Fault]) -> None:
        self._api.faults = faults

    def next(self) -> None:
        """Go on to the next tree."""
        self._api.history.advance()


async def serve(options: SandboxOptions) -> int:
    """Run a sandbox until cancelled; tell on stdout where it is and how to use it."""
    async with Sandbox(options) as sandbox:
        sys.stdout.write(introduction(options, sandbox.url))
        sys.stdout.flush()
        await asyncio.Event().wait()
    return 0


def _reason(port: int, error: OSError | OverflowError) -> str:
    place = f"the sandbox cannot listen on {HOST}, port {port}"
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"{place}: another program does; choose another with --port, or --port 0 for any"
    why = error.strerror if isinstance(error, OSError) else "a port is a number up to 65535"
    return f"{place}: {why}; choose another with --port"
