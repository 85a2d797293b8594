"""The floor of who writes to Redis: the same words, encoded beforehand, over a raw socket."""

import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import redis

KEY: Final = "catalog:{us}:"
CATEGORIES: Final = f"{KEY}categories".encode()
EVENTS: Final = f"{KEY}events".encode()
CHUNK: Final = 4000
"""Words of one variadic HSET, as in commit.lua."""

SCRIPT: Final = (
    b"""
local count, chunk = tonumber(ARGV[1]), %d
for i = 2, count + 1 do redis.call('XADD', KEYS[2], '*', 'event', ARGV[i]) end
for i = count + 2, #ARGV, chunk do
  redis.call('HSET', KEYS[1], unpack(ARGV, i, math.min(i + chunk - 1, #ARGV)))
end
"""
    % CHUNK
)
"""Writes events and rows as commit.lua does; asks nothing."""

Command: TypeAlias = list[bytes]


def commands(server: redis.Redis) -> list[Command]:
    """Return what writes just what stands in `server`: rows, events and meta of catalog `us`."""
    rows: Any = server.hgetall(CATEGORIES)
    meta: Any = server.hgetall(f"{KEY}meta")
    entries: Any = server.xrange(EVENTS)
    words = [word for pair in rows.items() for word in pair]
    return [
        *([b"XADD", EVENTS, b"*", b"event", fields[b"event"]] for _, fields in entries),
        *([b"HSET", CATEGORIES, *chunk] for chunk in chunks(words)),
        [b"HSET", f"{KEY}meta".encode(), *(word for pair in meta.items() for word in pair)],
    ]


def transaction(commands_: list[Command]) -> bytes:
    """Return `commands_` within MULTI and EXEC, as the protocol has it."""
    return b"".join(map(packed, [[b"MULTI"], *commands_, [b"EXEC"]]))


def scripted(commands_: list[Command]) -> bytes:
    """Return a call of SCRIPT that writes the events and rows of `commands_`."""
    return packed([b"EVAL", SCRIPT, b"2", CATEGORIES, EVENTS, *_arguments(commands_)])


def handed(commands_: list[Command]) -> bytes:
    """Return a call of a script that is given the same as SCRIPT, and does nothing."""
    return packed([b"EVAL", b"return 0", b"0", *_arguments(commands_)])


def _arguments(commands_: list[Command]) -> list[bytes]:
    events = [words[-1] for words in commands_ if words[0] == b"XADD"]
    rows = [word for words in commands_ if words[1] == CATEGORIES for word in words[2:]]
    return [b"%d" % len(events), *events, *rows]


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
    words = commands_ + packed([b"ECHO", b"the-end"])
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        begin = time.perf_counter()
        connection.sendall(words)
        tail = b""
        while not tail.endswith(b"the-end\r\n"):
            tail = (tail + connection.recv(1 << 20))[-16:]
        return time.perf_counter() - begin
