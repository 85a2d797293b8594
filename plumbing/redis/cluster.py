"""A client of a Redis Cluster that is used like a client of one server.

It changes redis-py's own client where this project needs it:
- All its errors are RedisError; redis-py raises other classes if a Cluster cannot be reached.
- A transaction runs in the caller's event loop and follows a slot that has moved; redis-py runs
  each of its commands in a thread with an event loop of its own.
- Which argument of a command is a key is known here, for all commands that we send. redis-py asks
  the server before each XREAD, and needs the right to COMMAND.
- `aclose` closes all connections, also after an error.
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
from plumbing.redis.error_advice import chain_of
from plumbing.redis_url import Address


class Cluster(RedisCluster):
    """A client of all primaries of the Cluster at `address`.

    It never reads from replicas. `options` are those of each connection.
    """

    def __init__(self, address: Address, **options: Any) -> None:
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        super().__init__(startup_nodes=nodes, **connections.RESP2 | options)
        self.commands_parser = _KeyArguments()
        kind = address.options.get("connection_class", Connection)
        fixed = connections.cancellable_connection(kind)
        self.connection_kwargs.update(address.options, connection_class=fixed)
        startup_nodes = [ClusterNode(*host, **self.connection_kwargs) for host in address.hosts]
        self.nodes_manager.startup_nodes = {node.name: node for node in startup_nodes}

    async def initialize(self, *args: Any, **options: Any) -> "Cluster":
        """Find the primaries and their slots if they are not known yet."""
        with _redis_errors_only():
            await super().initialize(*args, **options)
        return self

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command to a node, and return the reply.

        The node is that of the command's key, or `target_nodes`.
        """
        with _redis_errors_only():
            return await super().execute_command(*args, **options)

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:  # noqa: ARG002  redis-py's signature
        """Return a pipeline; with `transaction` all its keys must be in one slot."""
        if not transaction:
            return super().pipeline()
        commands = ClusterPipeline(self)  # type: ignore[abstract]
        commands._execution_strategy = _Transaction(commands, self)  # noqa: SLF001  redis-py's
        return commands

    async def slot_of(self, *command: Any) -> int:
        """Return the slot of a command's keys."""
        return await self._determine_slot(*command)

    def rediscover(self) -> None:
        """Find the primaries and their slots again, before the next command."""
        self._initialize = True

    async def aclose(self) -> None:
        """Close all connections; the client can be used again."""
        await super().aclose()
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")


class _KeyArguments(AsyncCommandsParser):
    """Finds the keys of our commands.

    The key is the first argument, but XREAD has keys after STREAMS.
    """

    async def initialize(self, node: ClusterNode | None = None) -> None:
        """Do nothing, where redis-py would send COMMAND."""

    async def get_keys(self, *args: Any) -> tuple[Any, ...]:
        if args[0] == "XREAD":
            streams = args[args.index(b"STREAMS") + 1 :]
            return streams[: len(streams) // 2]
        return args[1:2]


class _Transaction(TransactionStrategy):
    """Executes MULTI/EXEC with keys of one slot.

    It does so in the caller's event loop, without WATCH.
    """

    def __init__(self, pipeline: ClusterPipeline, client: Cluster) -> None:
        super().__init__(pipeline)
        self._client = client

    def execute_command(self, *args: Any, **options: Any) -> ClusterPipeline:
        options.pop("keys", None)  # for redis-py's cache; the parser of replies refuses it
        return AbstractStrategy.execute_command(self, *args, **options)

    async def execute(self, *args: Any, **options: Any) -> list[Any]:
        with _redis_errors_only():
            for command in self._command_queue:
                self._pipeline_slots.add(await self._client.slot_of(*command.args))
            return await super().execute(*args, **options)

    async def _execute_transaction(self, *args: Any, **options: Any) -> Any:
        await self._client.initialize()
        return await super()._execute_transaction(*args, **options)

    async def _reinitialize_on_error(self, error: Exception, failure_count: int) -> None:  # noqa: ARG002  redis-py's signature
        """Find the slot's primary again.

        It is where the server says it is, or else among all nodes.
        """
        if self._transaction_connection and self._transaction_node:
            await self._transaction_connection.disconnect()
            self._transaction_node.release(self._transaction_connection)
            self._transaction_connection = None
        if isinstance(error, redis.exceptions.MovedError):
            await self._client.nodes_manager.move_slot(error)
        elif not isinstance(error, redis.exceptions.AskError):  # then the slot is being moved
            self._client.rediscover()


@contextmanager
def _redis_errors_only() -> Iterator[None]:
    """Raise the error of the last node tried, or that slots have no node."""
    try:
        yield
    except redis.exceptions.RedisClusterException as error:
        node_errors = (
            cause
            for cause in chain_of(error)
            if isinstance(cause, redis.exceptions.RedisError)
            and not isinstance(cause, redis.exceptions.RedisClusterException)
        )
        down = redis.exceptions.ClusterDownError(str(error), status_code="CLUSTERDOWN")
        raise next(node_errors, down) from None  # the node's error may be the cause of `error`
