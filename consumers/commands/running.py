"""How a command runs and ends."""

import os
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from plumbing.cli import options as command


def run(work: Coroutine[Any, Any, int], *, once: bool) -> NoReturn:
    """Run `work`; being stopped is success for who runs until then, not for who catches up."""
    command.run(work if once else command.until_stopped(work))


@contextmanager
def enough_is_enough() -> Iterator[None]:
    """End well when whoever reads standard output closes it, as `head` does."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
