"""Consumers as processes, and a check of what they left behind."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.consumers.mirrors import (
    stored_position,
    stored_rows,
)
from tests.support.contract import digest_of_row
from tests.support.processes import CONSUMER, start


@contextmanager
def started(*words: str, cwd: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command in the background; kill it at the end."""
    process = start(CONSUMER, *words, cwd=cwd, **variables)
    with process:
        try:
            yield process
        finally:
            process.kill()


def check_fit(to: str) -> None:
    """Assert that the copy's rows have the digest of its checkpoint, if it has one."""
    found = stored_position(to)
    if found is not None:
        value = 0
        for one in stored_rows(to).values():
            value ^= digest_of_row(one)
        assert found.endswith(f"-{value:016x}")
