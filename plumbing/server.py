"""Finding and opening Redis: what `redis_url` names, or the embedded server.

One server, the primary of Sentinels and a Cluster are three ways to make a client in
`Server.client`, and nothing else has to know.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias

import redis.asyncio
import redis.exceptions
from redis.asyncio.client import Pipeline
from redis.asyncio.cluster import ClusterPipeline, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError
from redis.backoff import ExponentialWithJitterBackoff

from plumbing import cancellable, cluster, embedded, sentinel
from plumbing.config import Settings
from plumbing.embedded import Stay
from plumbing.errors import RedisError
from plumbing.redis_address import Address, Kind, parse
from plumbing.refusals import reaction

Client: TypeAlias = redis.asyncio.Redis | RedisCluster
"""What is asked of it works alike: a transaction has keys of one catalog only (contract, 2)."""
Transaction: TypeAlias = Pipeline | ClusterPipeline

COMMAND_TIMEOUT: Final = 60.0
"""Seconds for one command. redis-py's default of 5 is too short for a commit of 200,000
categories on a slow machine, during which the server answers nobody."""
CONNECT_TIMEOUT: Final = 5.0
RETRIES: Final = 3
"""A command is tried again after a lost connection; a commit that was executed all the same
finds itself done (see commit.lua)."""
CONNECTIONS: Final = 5000
"""As many are opened as commands are under way: redis-py's 100 are too few when a thousand catalogs
go on after a failover. Half of what a server takes by default (maxclients)."""
OLDEST_REDIS: Final = (7, 0)


@dataclass(frozen=True)
class Server:
    """Where Redis is. Its `repr` and `address` hold no password."""

    url: str = field(repr=False)

    @cached_property
    def _address(self) -> Address:
        return parse(self.url)

    @property
    def address(self) -> str:
        """Where it is, for messages: without user name, password and options."""
        return self._address.shown

    def client(self, *, timeout: float = COMMAND_TIMEOUT) -> Client:
        """Return a client whose commands may take `timeout` seconds; the caller closes it."""
        options: dict[str, Any] = {
            "max_connections": CONNECTIONS,
            "socket_timeout": timeout,
            "socket_connect_timeout": CONNECT_TIMEOUT,
            "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), RETRIES),
        }
        match self._address.kind:
            case Kind.CLUSTER:
                return cluster.client(self._address, options)
            case Kind.SENTINEL:
                return sentinel.client(self._address, options)
            case Kind.SINGLE:
                return cancellable.client(self._address.options | options)

    @contextmanager
    def errors_explained(self) -> Iterator[None]:
        """Raise redis-py's errors as a RedisError that names the server and what to do."""
        try:
            yield
        except redis.exceptions.RedisError as error:
            raise self.error(error) from error

    def error(self, error: redis.exceptions.RedisError | OSError) -> RedisError:
        """Return `error` as ours: what happened, at which server, what to do."""
        what = reaction(error)
        said = self._said(error)
        return RedisError(f"Redis at {self.address}: {said} ({what.advice})", passing=what.passing)

    def _said(self, error: redis.exceptions.RedisError | OSError) -> str:
        if isinstance(error, MasterNotFoundError):  # redis-py names Python objects here
            return f"none of its Sentinels knows a primary {self._address.master!r} that is up"
        return str(error) or type(error).__name__


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
    """Raise RedisError unless `server` answers and is Redis 7.0, Valkey 7.2 or newer.

    Of a Cluster each primary is asked.
    """
    client = server.client()
    try:
        infos = await _by_node(client, "server")
    except (redis.exceptions.RedisError, OSError) as error:
        raise server.error(error) from error
    finally:
        await client.aclose()
    for node, about in infos.items():
        version = str(about["redis_version"])  # Valkey 7.2 and newer say 7.2.4 here
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
            raise RedisError(
                f"Redis at {node or server.address} is version {version}: Redis 7.0, Valkey 7.2 "
                "or newer is needed"
            )


async def _by_node(client: Client, section: str) -> dict[str, dict[str, Any]]:
    """Return a section of INFO of each primary (`host:port`); of one server the key is empty."""
    if not isinstance(client, RedisCluster):
        return {"": await client.info(section)}
    await client.initialize()
    return {
        node.name: await client.info(section, target_nodes=node) for node in client.get_primaries()
    }
