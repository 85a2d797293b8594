"""End a process, or only a client, at one certain point of its work.

`arm` runs in the process of a real command, before its main. The command's connections then count the
points that they pass: before and after any Redis command, reply, SQL statement or commit. At the n-th
they send the process a signal: SIGKILL ends it there, SIGSTOP stops it until SIGCONT. Every point is
written down before it is passed, so a run without a signal lists all points.

`dying_client` does the same in this process for one client, by an exception.
"""

import functools
import os
import re
import signal
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from plumbing.redis import connections

NOTES: Final = "points"
COMMAND: Final = re.compile(rb"\*\d+\r\n\$\d+\r\n([A-Za-z]+)\r\n")
READING: Final = re.compile(r"\s*(PRAGMA|SELECT|SHOW|DESCRIBE|WITH)\b", re.IGNORECASE)
"""Statements that change nothing: to die at one is to die before the next that does."""
FIRST_BYTES: Final = 2000
LONGEST_NAME: Final = 60


class Countdown:
    """Sends this process the signal `by` at point number `last`.

    Points are counted from 1; 0 means never. The names of the points passed are appended to a file
    in `folder`.
    """

    def __init__(self, folder: Path, last: int, by: signal.Signals) -> None:
        self._left = last
        self._by = by
        self._notes = (folder / NOTES).open("ab", buffering=0)

    def point(self, name: str) -> None:
        """Pass a point; end here if it is the last."""
        if self.ends_at(name):
            self.end()

    def ends_at(self, name: str) -> bool:
        """Write the point down; return whether it is the last."""
        self._notes.write(f"{name}\n".encode())
        self._left -= 1
        return self._left == 0

    def end(self) -> None:
        """Send the signal; this returns if the process is stopped and goes on."""
        os.kill(os.getpid(), self._by)


def arm(
    folder: Path,
    last: int,
    *,
    redis: bool = True,
    sql: bool = True,
    by: signal.Signals = signal.SIGKILL,
) -> None:
    """Send this process the signal `by` at point `last`.

    The points are those of its Redis work, SQL work, or both.
    """
    countdown = Countdown(folder, last, by)
    if redis:
        _arm_redis(countdown)
    if sql:
        _arm_sql(countdown)


def points(folder: Path, *, among: Collection[str] = ()) -> list[str]:
    """Return the points that a process passed, in their order.

    Asserts that for each text of `among` a point begins with it: the run did what it is to prove.
    """
    noted = (folder / NOTES).read_text().splitlines()
    missing = [name for name in among if not any(each.startswith(name) for each in noted)]
    assert not missing, f"{missing} are not among the points {noted}"
    return noted


def _arm_redis(countdown: Countdown) -> None:
    make_cancellable = connections.cancellable_connection

    def counting(kind: type[AbstractConnection]) -> type[AbstractConnection]:
        return type(
            "CountingConnection",
            (_CountingConnection, make_cancellable(kind)),
            {"countdown": countdown},
        )

    connections.cancellable_connection = counting


class _CountingConnection(AbstractConnection):
    """A connection of redis-py with points around each command and after each reply."""

    countdown: Countdown

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's signature
        """Send, with a point before, amid and after."""
        data = command if isinstance(command, bytes) else b"".join(command)
        self._name = b" ".join(COMMAND.findall(data[:FIRST_BYTES])).decode()[:LONGEST_NAME]
        self.countdown.point(f"before {self._name}")
        if self.countdown.ends_at(f"half of {self._name}"):
            assert self._writer is not None
            self._writer.write(data[: len(data) // 2])
            await self._writer.drain()
            self.countdown.end()
            data = data[len(data) // 2 :]
        await super().send_packed_command(data, check_health)
        self.countdown.point(f"sent {self._name}")

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read a reply, with a point after it."""
        reply = await super().read_response(*args, **options)
        self.countdown.point(f"reply to {self._name}")
        return reply


def _arm_sql(countdown: Countdown) -> None:
    def passing(when: str) -> Callable[..., None]:
        def pass_(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if not READING.match(statement):
                countdown.point(f"{when} {' '.join(statement.split())[:LONGEST_NAME]}")

        return pass_

    event.listen(Engine, "before_cursor_execute", passing("before"))
    event.listen(Engine, "after_cursor_execute", passing("after"))
    event.listen(Engine, "commit", lambda *_: countdown.point("before COMMIT"))
    event.listen(Pool, "checkin", lambda *_: countdown.point("connection given back"))


class Killed(BaseException):
    """The simulated end of a process; no code may handle it."""


def dying_client(client: Any, commands: int, *, after: bool) -> Any:
    """Let `client` execute `commands` commands, then raise Killed.

    A transaction counts as one. With `after` the next command is still executed, but its reply is
    lost.
    """
    left = commands
    execute, pipeline = client.execute_command, client.pipeline

    async def spend(command: Callable[[], Any]) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            return await command()
        if after:
            await command()
        raise Killed

    async def execute_command(*arguments: Any, **options: Any) -> Any:
        return await spend(lambda: execute(*arguments, **options))

    def dying_pipeline(*arguments: Any, **options: Any) -> Any:
        pipe = pipeline(*arguments, **options)
        pipe.execute = functools.partial(spend, pipe.execute)
        return pipe

    client.execute_command = execute_command
    client.pipeline = dying_pipeline
    return client
