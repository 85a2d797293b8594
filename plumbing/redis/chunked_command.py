"""A command of very many words, made and sent in pieces.

redis-py takes all words of a command at once, packs them whole, and copies that whole into the
buffer of the connection: a commit of 100,000 categories takes 170 MB so, 55 of them three times.
In pieces it takes less than 1 MB, and the server reads while the rest is made.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final, TypeAlias

import hiredis
import redis.exceptions
from redis.asyncio.connection import AbstractConnection

from plumbing.redis.lazy_arguments import LazyArguments

WORDS: Final = 1000
"""Of a piece, some 200 kB."""

Word: TypeAlias = str | bytes | int | float


class CommandChunks:
    """A command as it is sent (RESP: an array of bulk strings), piece by piece."""

    def __init__(self, first: Sequence[Word], words: LazyArguments) -> None:
        self._first = first
        self._words = words

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces; hiredis packs each as a command, whose own beginning is replaced."""
        beginning = b"*%d\r\n" % (len(self._first) + len(self._words))
        words: Iterator[Word] = chain(self._first, self._words)
        while piece := tuple(islice(words, WORDS)):
            packed: bytes = hiredis.pack_command(piece)  # type: ignore[arg-type]  # their stub's
            yield beginning + packed[packed.index(b"$") :]
            beginning = b""


class ChunkedSending(AbstractConnection):
    """A connection that sends a command whose last argument is LazyArguments in pieces."""

    def pack_command(self, *args: Any) -> Any:
        """Pack as redis-py does, or into CommandChunks."""
        if isinstance(args[-1], LazyArguments):
            return CommandChunks(args[:-1], args[-1])
        return super().pack_command(*args)

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's signature
        """Send `command`; one that cannot be sent to its end leaves no connection behind."""
        if not isinstance(command, CommandChunks):
            await super().send_packed_command(command, check_health)
            return
        try:
            await self._send(command, check_health=check_health)
        except BaseException:
            await self.disconnect(nowait=True)
            raise

    async def _send(self, pieces: CommandChunks, *, check_health: bool) -> None:
        is_first = True
        for piece in pieces:
            if not (is_first or self.is_connected):  # redis-py would go on in a new connection
                raise redis.exceptions.ConnectionError("Connection lost while writing")
            await super().send_packed_command(piece, check_health and is_first)
            is_first = False
