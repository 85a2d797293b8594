"""Real publishers and consumers, as processes that a fault can hit.

The imports of a command take a second, and the suite starts thousands: so each process is forked
from one that has the imports already. From then on it runs as `python -m publisher …` does.
"""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from tests.support.processes import CONSUMER, PUBLISHER, environment, forked
from tests.support.waiting import PATIENCE

__all__ = ["CONSUMER", "PUBLISHER", "Process", "has_ended", "is_stopped"]


Before: TypeAlias = Callable[[Path], Callable[[], Any]]
"""Takes the folder of the logs, and returns what the process calls before its command."""


class Process:
    """`python -m MODULE WORDS…` in the folder `cwd`; its output is written to `logs`."""

    def __init__(
        self,
        module: str,
        *words: str,
        cwd: Path,
        logs: Path,
        before: Before | None = None,
        **variables: str,
    ) -> None:
        self.words = (module, *words)
        self.logs = logs
        prepare = before and before(logs)
        self._process = forked(module, words, cwd, environment(variables), logs, before=prepare)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    @property
    def is_stopped(self) -> bool:
        """Whether SIGSTOP has stopped it."""
        return is_stopped(self.pid)

    @property
    def peak(self) -> int:
        """The maximum bytes of memory it has used so far (VmHWM in proc_pid_status(5))."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        (kib,) = re.findall(r"^VmHWM:\s*([0-9]+) kB$", status, re.MULTILINE)
        return int(kib) * 1024

    @property
    def out(self) -> str:
        """Its standard output so far."""
        return self._read_output("out")

    @property
    def err(self) -> str:
        """Its standard error so far."""
        return self._read_output("err")

    def kill(self) -> None:
        """Kill it (SIGKILL), and wait until it has ended."""
        self._signal(signal.SIGKILL)
        self._process.join(PATIENCE)

    def end(self) -> int:
        """Terminate it (SIGTERM), and return its exit code."""
        self._signal(signal.SIGTERM)
        return self.wait()

    def pause(self) -> None:
        """Stop it (SIGSTOP) until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it continue (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait until it has ended, and return its exit code. Raises TimeoutError."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            self.kill()
            raise TimeoutError(f"{' '.join(self.words)} still runs after {seconds} s: {self.err}")
        return self._process.exitcode

    async def wait_async(self, seconds: float = PATIENCE) -> int:
        """Do the same without blocking the source, which answers in this process."""
        return await asyncio.to_thread(self.wait, seconds)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _read_output(self, name: str) -> str:
        file = self.logs / name
        return file.read_text(errors="replace") if file.exists() else ""


def is_stopped(pid: int) -> bool:
    """Return whether SIGSTOP has stopped the process."""
    return _state(pid) == "T"


def has_ended(pid: int) -> bool:
    """Return whether the process has ended, even if nobody has waited for it."""
    return _state(pid) in {"", "Z", "X"}


def _state(pid: int) -> str:
    """Return the state of a process (proc_pid_stat(5)); empty if it does not exist."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
