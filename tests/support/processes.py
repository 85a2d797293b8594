"""Run our commands as processes, as a user or cron does.

Importing a command's modules takes longer than most commands. So `call` forks a process that has
imported them already; `start` starts a new interpreter.
"""

import io
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from publisher.cli import COMMANDS
from tests.support.waiting import PATIENCE

PUBLISHER = "publisher"
CONSUMER = "consumers"

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        *(f"publisher.commands.{name}" for name in COMMANDS),
        *(f"consumers.commands.{name}" for name in ("mirror", "history", "map", "tail", "verify")),
        "consumers.sql.sqlite",
        __name__,
    ]
)


def call(
    module: str, *words: str | Path, cwd: Path, given: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; return its output and exit code."""
    command = _command(module, words)
    with tempfile.TemporaryDirectory(prefix="cp-") as name:
        folder = Path(name)
        process = forked(module, words, cwd, environment(variables), folder, given=given)
        process.start()
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, PATIENCE)
        out, err = ((folder / each).read_bytes().decode() for each in ("out", "err"))
    return subprocess.CompletedProcess(command, process.exitcode, out, err)


def forked(
    module: str,
    words: Iterable[str | Path],
    cwd: Path,
    variables: dict[str, str],
    folder: Path,
    *,
    given: str = "",
    before: Callable[[], Any] | None = None,
) -> BaseProcess:
    """Return the process of a command, not started yet.

    Its standard input, output and errors are the files `in`, `out` and `err` in `folder`. It calls
    `before`, a function that can be pickled, before the command.
    """
    (folder / "in").write_text(given, encoding="utf-8")
    args = (_command(module, words), cwd, variables, folder, before)
    return _FORKS.Process(target=_run, args=args)


def start(module: str, *words: str | Path, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    """Start a command and return its process; the caller ends it."""
    return subprocess.Popen(
        _command(module, words),
        cwd=cwd,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def replace(file: Path, content: bytes) -> None:
    """Replace the content of `file` in one step."""
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.replace(file)


def _run(
    command: list[str],
    cwd: Path,
    variables: dict[str, str],
    folder: Path,
    before: Callable[[], Any] | None,
) -> None:
    """Run `command` in this forked process."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(variables)
    warnings.simplefilter("error")
    sys.stdin = _redirect(folder / "in", 0, "r")
    sys.stdout = _redirect(folder / "out", 1, "w")
    sys.stderr = _redirect(folder / "err", 2, "w")
    _, _, module, *words = command
    sys.argv = [module, *words]
    if before is not None:
        before()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _redirect(path: Path, number: int, mode: str) -> io.TextIOWrapper:
    """Open the file at `path` as file descriptor `number`; return a text stream on it."""
    with path.open(f"{mode}b") as file:
        os.dup2(file.fileno(), number)
    binary: Any = os.fdopen(number, f"{mode}b", closefd=False)
    return io.TextIOWrapper(binary, encoding="utf-8", write_through=number == 2)


def _command(module: str, words: Any) -> list[str]:
    return [sys.executable, "-m", module, *(str(word) for word in words)]


def environment(variables: dict[str, str]) -> dict[str, str]:
    """Return the environment of a command: the user's path and home, and `variables`."""
    own = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return {**own, "PYTHONWARNINGS": "error", **variables}
