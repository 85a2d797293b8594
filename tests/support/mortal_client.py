"""A client whose process dies: at the n-th command, before it was sent or after it was done."""

import functools
from typing import Any


class Killed(BaseException):
    """The process is gone; nothing of it may handle this."""


def mortal(client: Any, commands: int, *, after: bool) -> Any:
    """Let `client` live for `commands` commands; a transaction is one.

    With `after` the last one is still done, but its reply is lost.
    """
    life = _Life(commands, after=after)
    execute, pipeline = client.execute_command, client.pipeline

    async def execute_command(*words: Any, **options: Any) -> Any:
        return await life.spend(lambda: execute(*words, **options))

    def mortal_pipeline(*words: Any, **options: Any) -> Any:
        pipe = pipeline(*words, **options)
        execute_all = pipe.execute
        pipe.execute = functools.partial(life.spend, execute_all)
        return pipe

    client.execute_command = execute_command
    client.pipeline = mortal_pipeline
    return client


class _Life:
    def __init__(self, commands: int, *, after: bool) -> None:
        self._left = commands
        self._after = after

    async def spend(self, command: Any) -> Any:
        """Do `command`, or die."""
        self._left -= 1
        if self._left >= 0:
            return await command()
        if self._after:
            await command()
        raise Killed
