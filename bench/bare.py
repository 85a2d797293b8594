"""The floor of who writes to Redis: the same words, encoded beforehand, over a raw socket."""

import socket
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeAlias

import redis

KEY: Final = "catalog:{us}:"
CHUNK: Final = 4000
"""Words of one variadic HSET, as in commit.lua."""

SCRIPT: Final = b"""
local count = tonumber(ARGV[1])
for i = 2, count + 1 do redis.call('XADD', KEYS[2], '*', 'event', ARGV[i]) end
for i = count + 2, #ARGV, 4000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + 3999, #ARGV)))
end
"""
"""Writes events and rows, in CHUNKs as commit.lua does; asks nothing."""

Command: TypeAlias = list[bytes]


def commands(server: redis.Redis) -> list[Command]:
    """Return what writes just what stands in `server`: rows, events and meta of catalog `us`."""
    rows: Any = server.hgetall(f"{KEY}categories")
    meta: Any = server.hgetall(f"{KEY}meta")
    entries: Any = server.xrange(f"{KEY}events")
    categories, events = f"{KEY}categories".encode(), f"{KEY}events".encode()
    words = [word for pair in rows.items() for word in pair]
    return [
        *([b"XADD", events, b"*", b"event", fields[b"event"]] for _, fields in entries),
        *([b"HSET", categories, *chunk] for chunk in chunks(words)),
        [b"HSET", f"{KEY}meta".encode(), *(word for pair in meta.items() for word in pair)],
    ]


def transaction(commands_: list[Command]) -> bytes:
    """Return `commands_` within MULTI and EXEC, as the protocol has it."""
    return b"".join(map(packed, [[b"MULTI"], *commands_, [b"EXEC"]]))


def scripted(commands_: list[Command]) -> bytes:
    """Return a call of SCRIPT that writes the events and rows of `commands_`."""
    categories, stream = f"{KEY}categories".encode(), f"{KEY}events".encode()
    events = [words[-1] for words in commands_ if words[0] == b"XADD"]
    rows = [word for words in commands_ if words[1] == categories for word in words[2:]]
    count = b"%d" % len(events)
    return packed([b"EVAL", SCRIPT, b"2", categories, stream, count, *events, *rows])


def handed(commands_: list[Command]) -> bytes:
    """Return a call of a script that is given the words of `commands_`, and does nothing."""
    return packed([b"EVAL", b"return 0", b"0", *chain.from_iterable(commands_)])


def chunks(words: list[bytes]) -> Iterator[list[bytes]]:
    """Yield `words` in lists of at most CHUNK."""
    for begin in range(0, len(words), CHUNK):
        yield words[begin : begin + CHUNK]


def packed(words: Iterable[bytes]) -> bytes:
    """Return a command as the protocol has it."""
    parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))


def seconds(path: Path, commands_: bytes) -> float:
    """Send `commands_` to the socket at `path`, read all replies; return how long that took."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        begin = time.perf_counter()
        connection.sendall(commands_ + packed([b"ECHO", b"the-end"]))
        tail = b""
        while not tail.endswith(b"the-end\r\n"):
            tail = (tail + connection.recv(1 << 20))[-16:]
        return time.perf_counter() - begin
