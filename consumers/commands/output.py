"""Standard output, of which the reader may have enough before its end."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def enough_is_enough() -> Iterator[None]:
    """End well when whoever reads standard output closes it, as `head` does."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
