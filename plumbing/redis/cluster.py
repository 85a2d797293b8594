"""A client of a Redis Cluster, to be used as the client of one server is.

redis-py's own is mended where this project needs it:
- all its errors are redis-py's RedisError (a Cluster that cannot be reached was another tree);
- a transaction runs in the event loop that it is asked from, not each of its commands in a thread
  with a loop of its own, and follows a slot that has moved;
- the key of a command is known here, where all commands are known, so neither the right to COMMAND
  is needed nor a question to the server before each XREAD;
- closing it closes its connections, after an error as well.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis.exceptions
from redis._parsers import AsyncCommandsParser
from redis.asyncio.cluster import (
    AbstractStrategy,
    ClusterNode,
    ClusterPipeline,
    RedisCluster,
    TransactionStrategy,
)
from redis.asyncio.connection import Connection

from plumbing.redis import connections
from plumbing.redis.error_advice import chain
from plumbing.redis_url import Address


def client(address: Address, options: dict[str, Any]) -> "Cluster":
    """Return a client of the whole Cluster; `options` are of each connection."""
    return Cluster(address, **options)


class Cluster(RedisCluster):
    """All primaries of a Cluster; replicas are never read from."""

    def __init__(self, address: Address, **options: Any) -> None:
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        super().__init__(startup_nodes=nodes, **connections.RESP2 | options)
        self.commands_parser = _Keys()
        kind = connections.cancellable_connection(
            address.options.get("connection_class", Connection)
        )
        own = {**address.options, "connection_class": kind}
        self.connection_kwargs.update(own)
        startup_nodes = [ClusterNode(*host, **self.connection_kwargs) for host in address.hosts]
        self.nodes_manager.startup_nodes = {node.name: node for node in startup_nodes}

    async def initialize(self, *args: Any, **options: Any) -> "Cluster":
        """Find the primaries and their slots, unless they are known."""
        with _one_tree_of_errors():
            await super().initialize(*args, **options)
        return self

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command where its key is, or to `target_nodes`, and return the reply."""
        with _one_tree_of_errors():
            return await super().execute_command(*args, **options)

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:
        """Return a pipeline; with `transaction` all its keys have to be in one slot."""
        if not transaction:
            return super().pipeline(None, shard_hint)
        return _Transaction(self)  # type: ignore[abstract]

    async def slot_of(self, *command: Any) -> int:
        """Return the slot of a command's keys."""
        return await self._determine_slot(*command)

    def rediscover(self) -> None:
        """Find the primaries and their slots again before the next command."""
        self._initialize = True

    async def aclose(self) -> None:
        """Close all connections; the client can be used again."""
        await super().aclose()
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")


class _Keys(AsyncCommandsParser):
    """Knows where the keys of our commands stand: first, but in XREAD behind the word STREAMS."""

    async def initialize(self, node: ClusterNode | None = None) -> None:
        """Ask no server."""

    async def get_keys(self, *args: Any) -> tuple[Any, ...]:
        if args[0] == "XREAD":
            streams = args[args.index(b"STREAMS") + 1 :]
            return streams[: len(streams) // 2]
        return args[1:2]


class _Transaction(ClusterPipeline):
    """MULTI/EXEC of one slot's keys."""

    def __init__(self, client: Cluster) -> None:
        super().__init__(client)
        self._execution_strategy = _InOneLoop(self, client)


class _InOneLoop(TransactionStrategy):
    """How a transaction is done; without WATCH."""

    def __init__(self, pipeline: ClusterPipeline, client: Cluster) -> None:
        super().__init__(pipeline)
        self._client = client

    def execute_command(self, *args: Any, **options: Any) -> ClusterPipeline:
        options.pop("keys", None)  # a cache's, and no option of the reply's parser
        return AbstractStrategy.execute_command(self, *args, **options)

    async def execute(self, *args: Any, **options: Any) -> list[Any]:
        with _one_tree_of_errors():
            for command in self._command_queue:
                self._pipeline_slots.add(await self._client.slot_of(*command.args))
            return await super().execute(*args, **options)

    async def _execute_transaction(self, *args: Any, **options: Any) -> Any:
        await self._client.initialize()
        return await super()._execute_transaction(*args, **options)

    async def _reinitialize_on_error(self, error: Exception, failure_count: int) -> None:  # noqa: ARG002  redis-py's signature
        """Look for the slot's primary anew: where the server says it is, or else among all."""
        if self._transaction_connection and self._transaction_node:
            await self._transaction_connection.disconnect()
            self._transaction_node.release(self._transaction_connection)
            self._transaction_connection = None
        if isinstance(error, redis.exceptions.MovedError):
            await self._client.nodes_manager.move_slot(error)
        elif not isinstance(error, redis.exceptions.AskError):  # that is a slot on its way
            self._client.rediscover()


@contextmanager
def _one_tree_of_errors() -> Iterator[None]:
    try:
        yield
    except redis.exceptions.RedisClusterException as error:
        raise _as_redis_error(error) from None  # it may well be the cause of `error`


def _as_redis_error(error: redis.exceptions.RedisClusterException) -> redis.exceptions.RedisError:
    """Return the last node's own error, or else that some slots have no node."""
    for cause in chain(error):
        is_own = not isinstance(cause, redis.exceptions.RedisClusterException)
        if is_own and isinstance(cause, redis.exceptions.RedisError):
            return cause
    return redis.exceptions.ClusterDownError(str(error), status_code="CLUSTERDOWN")
