"""Opens Redis: the server that `redis_url` names, or the embedded one.

`Server.client` hides whether it is one server, the primary of Sentinels or a Cluster.
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
from plumbing.redis_url import Address, Topology, parse

Client: TypeAlias = redis.asyncio.Redis | RedisCluster
"""Both are used alike: a transaction only has keys of one catalog (contract, 2)."""
Transaction: TypeAlias = Pipeline | ClusterPipeline
NodeCommand: TypeAlias = Callable[..., Awaitable[Any]]
"""Sends a command to one node, and returns its reply."""

COMMAND_TIMEOUT: Final = 60.0
"""Seconds for one command. redis-py's default of 5 is too short for a commit of 200,000
categories on a slow machine, during which the server answers no other command."""
CONNECT_TIMEOUT: Final = 5.0
RETRIES: Final = 3
"""A command is sent again after a lost connection. A commit that was executed nevertheless
recognizes itself (see commit.lua)."""
RETRIES_AT_START: Final = 1
"""Fewer, since a person waits for the error: a port that accepts connections and never answers (TLS
with a server that has none) costs CONNECT_TIMEOUT for each attempt."""
CONNECTIONS: Final = 5000
"""The limit of a client. Each concurrent command takes one: redis-py's 100 are too few when a
thousand catalogs continue after a failover. It is half of a server's default limit (maxclients)."""
OLDEST_REDIS: Final = (7, 0)


@dataclass(frozen=True)
class Server:
    """The location of Redis. Its `repr` and `address` contain no password."""

    url: str = field(repr=False)

    @cached_property
    def _address(self) -> Address:
        return parse(self.url)

    @property
    def address(self) -> str:
        """The address for messages: without user name, password and options."""
        return self._address.shown

    def client(self, *, timeout: float = COMMAND_TIMEOUT, retries: int = RETRIES) -> Client:
        """Return a client whose commands may take `timeout` seconds; the caller closes it."""
        options: dict[str, Any] = {
            "max_connections": CONNECTIONS,
            "socket_timeout": timeout,
            "socket_connect_timeout": CONNECT_TIMEOUT,
            "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), retries),
        }
        match self._address.topology:
            case Topology.CLUSTER:
                from plumbing.redis.cluster import Cluster  # noqa: PLC0415  imported if used

                return Cluster(self._address, **options)
            case Topology.SENTINEL:
                from plumbing.redis import sentinel  # noqa: PLC0415  imported if used

                return sentinel.client(self._address, options)
            case Topology.SINGLE:
                return connections.client(self._address.options | options)

    @contextmanager
    def explain_errors(self) -> Iterator[None]:
        """Raise redis-py's errors as a RedisError that names the server and what to do."""
        try:
            yield
        except redis.exceptions.RedisError as error:
            raise self.error(error) from error

    def error(self, error: redis.exceptions.RedisError | OSError) -> RedisError:
        """Return our error for `error`: what happened, at which server, and what to do."""
        found = advice_for(error, with_tls=self._address.has_tls)
        message = f"Redis at {self.address}: {str(error) or type(error).__name__} ({found.advice})"
        return RedisError(message, is_transient=found.is_transient, advice=found.advice)


@asynccontextmanager
async def open_server(settings: CommonSettings, mode: EmbeddedMode) -> AsyncIterator[Server]:
    """Open the server of `settings`, for as long as the context lasts.

    Raises EmbeddedServerError, and with `START_IF_NEEDED` RedisError if the server is too old or
    cannot be reached. Commands that run longer call `wait_until_available`.
    """
    if settings.redis_url is None:
        from plumbing.redis import embedded  # noqa: PLC0415  0.02 s: its file lock

        async with embedded.open_embedded_server(settings.data_dir, mode) as url:
            yield Server(url)
    else:
        server = Server(settings.redis_url.get_secret_value())
        if mode is EmbeddedMode.START_IF_NEEDED:
            await check_server(server)
        yield server


async def wait_until_available(server: Server) -> None:
    """Return once `check_server` succeeds.

    Raises its RedisError if that is not transient.
    """
    retry = OutageRetry(
        "redis", server.address, lambda error: isinstance(error, RedisError) and error.is_transient
    )
    await retry.call(partial(check_server, server))


async def check_server(server: Server) -> None:
    """Raise RedisError unless `server` answers and is Redis 7.0, Valkey 7.2 or newer.

    Of a Cluster each primary is checked.
    """
    client = server.client(retries=RETRIES_AT_START)
    try:
        nodes = await per_node(client, replicas=False)
        infos = {node: await command("INFO", "server") for node, command in nodes.items()}
    except (redis.exceptions.RedisError, OSError) as error:
        raise server.error(error) from error
    finally:
        await client.aclose()
    for node, info in infos.items():
        version = str(info["redis_version"])  # Valkey 7.2 and newer answer 7.2.4
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
            raise RedisError(
                f"Redis at {node or server.address} is version {version}: Redis 7.0, Valkey 7.2 "
                "or newer is needed"
            )


async def per_node(client: Client, *, replicas: bool) -> dict[str, NodeCommand]:
    """Return a function per primary that sends a command to it.

    The keys are `host:port`. With `replicas` there is one per node. Of a single server the key is
    "".
    """
    if not isinstance(client, RedisCluster):
        return {"": client.execute_command}
    await client.initialize()
    nodes = client.get_nodes() if replicas else client.get_primaries()
    return {node.name: partial(client.execute_command, target_nodes=node) for node in nodes}
