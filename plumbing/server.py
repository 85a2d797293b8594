"""Finding and opening Redis: the server of `redis_url`, or the embedded one.

Today one machine (TCP, TLS or Unix socket); Sentinel and Cluster will be further ways to make a
client in `Server.client`, and nothing else has to know.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from plumbing import cancellable, embedded
from plumbing.config import Settings
from plumbing.embedded import Stay
from plumbing.errors import RedisError

COMMAND_TIMEOUT: Final = 60.0
"""Seconds for one command. redis-py's default of 5 is too short for a commit of 200,000
categories on a slow machine, during which the server answers nobody."""
CONNECT_TIMEOUT: Final = 5.0
RETRIES: Final = 3
"""A command is tried again after a lost connection; a commit that was executed all the same
finds itself done (see commit.lua)."""
OLDEST_REDIS: Final = (7, 0)
UNREACHABLE: Final = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    OSError,
)
"""Errors that say nothing of the server's opinion: it was not reached, or not in time."""


@dataclass(frozen=True)
class Server:
    """Where Redis is. Its `repr` and `address` hold no password."""

    url: str = field(repr=False)

    @property
    def address(self) -> str:
        """Where it is, for messages: without user name, password and options."""
        parts = urlsplit(self.url)
        place = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{place}{parts.path}"

    def client(self, *, timeout: float = COMMAND_TIMEOUT) -> redis.asyncio.Redis:
        """Return a client whose commands may take `timeout` seconds; the caller closes it."""
        return cancellable.client(
            self.url,
            socket_timeout=timeout,
            socket_connect_timeout=CONNECT_TIMEOUT,
            retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), RETRIES),
        )

    @contextmanager
    def errors_explained(self) -> Iterator[None]:
        """Raise redis-py's errors as a RedisError that names the server and what to do."""
        try:
            yield
        except redis.exceptions.RedisError as error:
            raise self.error(error) from error

    def error(self, error: redis.exceptions.RedisError | OSError) -> RedisError:
        """Return `error` as ours: what happened, at which server, what to do."""
        return RedisError(f"Redis at {self.address}: {error} ({_advice(error)})")


@asynccontextmanager
async def opened(settings: Settings, stay: Stay) -> AsyncIterator[Server]:
    """Open the server of `settings`, for as long as the context lasts.

    `stay` matters to the embedded server only. Raises RedisError if the server is too old or
    cannot be reached, except with `Stay.WAIT`, and EmbeddedServerError.
    """
    if settings.redis_url is None:
        async with embedded.running(settings.data_dir, stay) as url:
            yield Server(url)
    else:
        server = Server(settings.redis_url.get_secret_value())
        if stay is not Stay.WAIT:
            await check(server)
        yield server


async def check(server: Server) -> None:
    """Raise RedisError unless `server` answers and is Redis 7.0, Valkey 7.2 or newer."""
    client = server.client()
    try:
        about = await client.info("server")
    except (redis.exceptions.RedisError, OSError) as error:
        raise server.error(error) from error
    finally:
        await client.aclose()
    version = str(about["redis_version"])  # Valkey 7.2 and newer say 7.2.4 here
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
        raise RedisError(
            f"Redis at {server.address} is version {version}: Redis 7.0, Valkey 7.2 or newer "
            "is needed"
        )


def _advice(error: Exception) -> str:
    if isinstance(error, redis.exceptions.AuthenticationError):
        return "check user name and password in CATEGORY_PUBLISHER_REDIS_URL"
    if isinstance(error, redis.exceptions.NoPermissionError):
        return "let this user's ACL allow the command"
    if isinstance(error, UNREACHABLE):
        return "is it running, and is redis_url right?"
    return "the command was refused; nothing was changed by it"
