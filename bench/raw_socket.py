"""The floor of publishing: the same arguments, encoded before, over a raw socket."""

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
"""Arguments of one variadic HSET, as in commit.lua."""

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
"""Writes events and rows as commit.lua does, without any check."""

Command: TypeAlias = list[bytes]


def written_commands(server: redis.Redis) -> list[Command]:
    """Return the commands that write the rows, events and meta stored in `server`."""
    rows: Any = server.hgetall(CATEGORIES)
    meta: Any = server.hgetall(f"{KEY}meta")
    entries: Any = server.xrange(EVENTS)
    arguments = [each for pair in rows.items() for each in pair]
    return [
        *([b"XADD", EVENTS, b"*", b"event", fields[b"event"]] for _, fields in entries),
        *([b"HSET", CATEGORIES, *chunk] for chunk in chunks(arguments)),
        [b"HSET", f"{KEY}meta".encode(), *(each for pair in meta.items() for each in pair)],
    ]


def encode_transaction(commands: list[Command]) -> bytes:
    """Return `commands` between MULTI and EXEC, encoded."""
    return b"".join(map(encode, [[b"MULTI"], *commands, [b"EXEC"]]))


def encode_script(commands: list[Command]) -> bytes:
    """Return a call of SCRIPT that writes the events and rows of `commands`, encoded."""
    return encode([b"EVAL", SCRIPT, b"2", CATEGORIES, EVENTS, *_arguments(commands)])


def encode_idle_script(commands: list[Command]) -> bytes:
    """Return a call of a script that gets SCRIPT's arguments and does nothing."""
    return encode([b"EVAL", b"return 0", b"0", *_arguments(commands)])


def _arguments(commands: list[Command]) -> list[bytes]:
    events = [command[-1] for command in commands if command[0] == b"XADD"]
    rows = [each for command in commands if command[1] == CATEGORIES for each in command[2:]]
    return [b"%d" % len(events), *events, *rows]


def chunks(arguments: list[bytes]) -> Iterator[list[bytes]]:
    """Yield `arguments` in lists of at most CHUNK."""
    for start in range(0, len(arguments), CHUNK):
        yield arguments[start : start + CHUNK]


def encode(command: Iterable[bytes]) -> bytes:
    """Return a command, encoded in the Redis protocol."""
    parts = [b"$%d\r\n%b\r\n" % (len(each), each) for each in command]
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))


def send(path: Path, commands: bytes) -> float:
    """Send encoded `commands` to the socket `path`, read all replies; return seconds."""
    data = commands + encode([b"ECHO", b"the-end"])
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        start = time.perf_counter()
        connection.sendall(data)
        tail = b""
        while not tail.endswith(b"the-end\r\n"):
            tail = (tail + connection.recv(1 << 20))[-16:]
        return time.perf_counter() - start
