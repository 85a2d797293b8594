"""A signal at one certain point: before or after any Redis command, reply, SQL statement or commit.

`arm` runs in the process of a real command, before its main. It makes the command's connections
count the points that they pass, and send the process a signal at the n-th: SIGKILL, with which it
dies there, or SIGSTOP, with which it stands there until it gets SIGCONT. Every point is noted before
it is passed, so the notes of a run that was left alone name all the points that there are.
"""

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

from plumbing.redis import connections as cancellable

NOTES: Final = "points"
COMMAND: Final = re.compile(rb"\*\d+\r\n\$\d+\r\n([A-Za-z]+)\r\n")
READING: Final = re.compile(r"\s*(PRAGMA|SELECT|SHOW|DESCRIBE|WITH)\b", re.IGNORECASE)
"""Statements that change nothing: who dies at one of them dies as before the next that does."""
FIRST_BYTES: Final = 2000
LONGEST_NAME: Final = 60


class Life:
    """A process's: `by` comes at the point of number `last` (from 1; 0: never), noted in `folder`."""

    def __init__(self, folder: Path, last: int, by: signal.Signals) -> None:
        self._left = last
        self._by = by
        self._notes = (folder / NOTES).open("ab", buffering=0)

    def point(self, name: str) -> None:
        """Pass a point, unless it is the last."""
        if self.ends_at(name):
            self.end()

    def ends_at(self, name: str) -> bool:
        """Note a point, and tell whether it is the last."""
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
    """Let `by` come at this process's point `last`, of those of Redis, of SQL, or both."""
    life = Life(folder, last, by)
    if redis:
        _arm_redis(life)
    if sql:
        _arm_sql(life)


def points(folder: Path, *, among: Collection[str] = ()) -> list[str]:
    """Return the points that a process noted, in their order.

    Some that begin with the words of `among` have to be there: without them nothing was decided.
    """
    noted = (folder / NOTES).read_text().splitlines()
    missing = [name for name in among if not any(each.startswith(name) for each in noted)]
    assert not missing, f"{missing} are not among the points {noted}"
    return noted


def _arm_redis(life: Life) -> None:
    mended = cancellable.cancellable

    def mortal(kind: type[AbstractConnection]) -> type[AbstractConnection]:
        return type("Mortal", (_Mortal, mended(kind)), {"life": life})

    cancellable.cancellable = mortal


class _Mortal(AbstractConnection):
    """A connection of redis-py with points before, amid and after what it sends, and each reply."""

    life: Life

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's signature
        """Send, if it comes to that."""
        data = command if isinstance(command, bytes) else b"".join(command)
        self._name = b" ".join(COMMAND.findall(data[:FIRST_BYTES])).decode()[:LONGEST_NAME]
        self.life.point(f"before {self._name}")
        if self.life.ends_at(f"half of {self._name}"):
            assert self._writer is not None
            self._writer.write(data[: len(data) // 2])
            await self._writer.drain()
            self.life.end()
            data = data[len(data) // 2 :]
        await super().send_packed_command(data, check_health)
        self.life.point(f"sent {self._name}")

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read a reply, and hand it on if it comes to that."""
        reply = await super().read_response(*args, **options)
        self.life.point(f"reply to {self._name}")
        return reply


def _arm_sql(life: Life) -> None:
    def passing(when: str) -> Callable[..., None]:
        def pass_(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if not READING.match(statement):
                life.point(f"{when} {' '.join(statement.split())[:LONGEST_NAME]}")

        return pass_

    event.listen(Engine, "before_cursor_execute", passing("before"))
    event.listen(Engine, "after_cursor_execute", passing("after"))
    event.listen(Engine, "commit", lambda *_: life.point("before COMMIT"))
    event.listen(Pool, "checkin", lambda *_: life.point("connection given back"))
