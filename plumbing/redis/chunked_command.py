"""Encodes and sends a command of very many arguments in chunks.

redis-py takes all arguments of a command at once, encodes them as a whole, and copies that into
the connection's buffer: a commit of 100,000 categories, of 55 MB, takes 170 MB that way.
In chunks it takes less than 1 MB, and the server reads while later arguments are encoded.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final, TypeAlias

import hiredis
import redis.exceptions
from redis.asyncio.connection import AbstractConnection

from plumbing.redis.lazy_arguments import LazyArguments

CHUNK_SIZE: Final = 1000
"""Arguments of a chunk, some 200 kB."""

Argument: TypeAlias = str | bytes | int | float


class CommandChunks:
    """A command in chunks, in the form in which it is sent.

    The form is RESP: an array of bulk strings.
    """

    def __init__(self, first: Sequence[Argument], lazy: LazyArguments) -> None:
        self._first = first
        self._lazy = lazy

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks.

        hiredis encodes each as a command; its header is replaced by ours.
        """
        header = b"*%d\r\n" % (len(self._first) + len(self._lazy))
        arguments: Iterator[Argument] = chain(self._first, self._lazy)
        while chunk := tuple(islice(arguments, CHUNK_SIZE)):
            encoded: bytes = hiredis.pack_command(chunk)  # type: ignore[arg-type]  # their stub's
            yield header + encoded[encoded.index(b"$") :]
            header = b""


class ChunkedSending(AbstractConnection):
    """A connection that can send a command in chunks.

    It does so if the command's last argument is LazyArguments.
    """

    def pack_command(self, *args: Any) -> Any:
        """Encode as redis-py does, or into CommandChunks."""
        if isinstance(args[-1], LazyArguments):
            return CommandChunks(args[:-1], args[-1])
        return super().pack_command(*args)

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's signature
        """Send `command`. If it can be sent only in part, the connection is closed."""
        if not isinstance(command, CommandChunks):
            await super().send_packed_command(command, check_health)
            return
        try:
            for number, chunk in enumerate(command):
                if number > 0 and not self.is_connected:  # redis-py would connect again
                    raise redis.exceptions.ConnectionError("Connection lost while writing")  # noqa: TRY301
                await super().send_packed_command(chunk, check_health and number == 0)
        except BaseException:
            await self.disconnect(nowait=True)
            raise
