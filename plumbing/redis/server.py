"""Finding and opening Redis: what `redis_url` names, or the embedded server.

One server, the primary of Sentinels and a Cluster are three ways to make a client in
`Server.client`, and nothing else has to know.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Final, TypeAlias

import redis.asyncio
import redis.exceptions
from redis.asyncio.client import Pipeline
from redis.asyncio.cluster import ClusterPipeline, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from plumbing.config.settings import CommonSettings
from plumbing.errors import RedisError
from plumbing.outage_retry import OutageRetry
from plumbing.redis import connections
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.error_advice import advice_for
from plumbing.redis_url import Address, Kind, parse

Client: TypeAlias = redis.asyncio.Redis | RedisCluster
"""What is asked of it works alike: a transaction has keys of one catalog only (contract, 2)."""
Transaction: TypeAlias = Pipeline | ClusterPipeline
NodeCommand: TypeAlias = Callable[..., Awaitable[Any]]
"""Sends a command to one certain node, and returns its reply."""

COMMAND_TIMEOUT: Final = 60.0
"""Seconds for one command. redis-py's default of 5 is too short for a commit of 200,000
categories on a slow machine, during which the server answers nobody."""
CONNECT_TIMEOUT: Final = 5.0
RETRIES: Final = 3
"""A command is tried again after a lost connection; a commit that was executed all the same
finds itself done (see commit.lua)."""
RETRIES_AT_START: Final = 1
"""Where a person waits for the error: a port that takes connections and says nothing (TLS asked of
a server without) costs CONNECT_TIMEOUT each time."""
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

    def client(self, *, timeout: float = COMMAND_TIMEOUT, retries: int = RETRIES) -> Client:
        """Return a client whose commands may take `timeout` seconds; the caller closes it.

        What only Sentinels or a Cluster need is imported for them.
        """
        options: dict[str, Any] = {
            "max_connections": CONNECTIONS,
            "socket_timeout": timeout,
            "socket_connect_timeout": CONNECT_TIMEOUT,
            "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), retries),
        }
        match self._address.kind:
            case Kind.CLUSTER:
                from plumbing.redis import cluster  # noqa: PLC0415

                return cluster.client(self._address, options)
            case Kind.SENTINEL:
                from plumbing.redis import sentinel  # noqa: PLC0415

                return sentinel.client(self._address, options)
            case Kind.SINGLE:
                return connections.client(self._address.options | options)

    @contextmanager
    def errors_explained(self) -> Iterator[None]:
        """Raise redis-py's errors as a RedisError that names the server and what to do."""
        try:
            yield
        except redis.exceptions.RedisError as error:
            raise self.error(error) from error

    def error(self, error: redis.exceptions.RedisError | OSError) -> RedisError:
        """Return `error` as ours: what happened, at which server, what to do."""
        what = advice_for(error, with_tls=self._address.has_tls)
        said = str(error) or type(error).__name__
        message = f"Redis at {self.address}: {said} ({what.advice})"
        return RedisError(message, is_transient=what.is_transient, advice=what.advice)


@asynccontextmanager
async def open_server(settings: CommonSettings, mode: EmbeddedMode) -> AsyncIterator[Server]:
    """Open the server of `settings`, for as long as the context lasts.

    Raises EmbeddedServerError, and with `START_IF_NEEDED` RedisError if the server is too old or
    cannot be reached. Commands that run longer call `wait_until_available`.
    """
    if settings.redis_url is None:
        from plumbing.redis import embedded  # noqa: PLC0415  its file lock, for nobody else: 0.02 s

        async with embedded.open_embedded_server(settings.data_dir, mode) as url:
            yield Server(url)
    else:
        server = Server(settings.redis_url.get_secret_value())
        if mode is EmbeddedMode.START_IF_NEEDED:
            await check_server(server)
        yield server


async def wait_until_available(server: Server) -> None:
    """Return once `check_server` succeeds. Raises its RedisError if that is not transient."""
    await OutageRetry("redis", server.address, _is_transient, once=False).call(
        partial(check_server, server)
    )


def _is_transient(error: Exception) -> bool:
    return isinstance(error, RedisError) and error.is_transient


async def check_server(server: Server) -> None:
    """Raise RedisError unless `server` answers and is Redis 7.0, Valkey 7.2 or newer.

    Of a Cluster each primary is asked.
    """
    client = server.client(retries=RETRIES_AT_START)
    try:
        nodes = await per_node(client)
        infos = {node: await ask("INFO", "server") for node, ask in nodes.items()}
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


async def per_node(client: Client, *, replicas: bool = False) -> dict[str, NodeCommand]:
    """Return how to ask each primary of a Cluster (`host:port`), or with `replicas` each node.

    Of one server the key is empty.
    """
    if not isinstance(client, RedisCluster):
        return {"": client.execute_command}
    await client.initialize()
    nodes = client.get_nodes() if replicas else client.get_primaries()
    return {node.name: partial(client.execute_command, target_nodes=node) for node in nodes}
