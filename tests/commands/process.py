"""The commands as processes, as a user or cron runs them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PUBLISHER = "publisher"
CONSUMER = "consumers"
TIMEOUT = 60.0


def call(
    module: str, *words: str | Path, cwd: Path, given: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it printed and its exit code."""
    return subprocess.run(
        _command(module, words),
        cwd=cwd,
        env=_environment(variables),
        input=given,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )


def start(module: str, *words: str | Path, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    """Start a command and return its process; the caller ends it."""
    return subprocess.Popen(
        _command(module, words),
        cwd=cwd,
        env=_environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def replace(file: Path, content: bytes) -> None:
    """Give `file` new content; a reader sees the old one or the new one."""
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.replace(file)


def _command(module: str, words: Any) -> list[str]:
    return [sys.executable, "-m", module, *(str(word) for word in words)]


def _environment(variables: dict[str, str]) -> dict[str, str]:
    own = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return {**own, "PYTHONWARNINGS": "error", **variables}
