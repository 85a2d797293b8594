"""Real publishers and consumers, as processes that a fault hits.

What a command imports takes a second, and a suite starts thousands: so each is forked from a
process that has imported it already. From then on it is what `python -m publisher …` would be.
"""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests.support.processes import CONSUMER, PUBLISHER, environment, forked

__all__ = ["CONSUMER", "PUBLISHER", "Process", "has_ended", "is_stopped"]

END_SECONDS: Final = 30.0

Before: TypeAlias = Callable[[Path], Callable[[], Any]]
"""Gives, from the folder of the logs, what is run in the process before its command."""


class Process:
    """`python -m MODULE WORDS…` in the folder `cwd`; what it says lands in `logs`."""

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
        armed = before and before(logs)
        self._process = forked(module, words, cwd, environment(variables), logs, before=armed)
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
        """Whether it stands still since a SIGSTOP."""
        return is_stopped(self.pid)

    @property
    def peak(self) -> int:
        """The most bytes of memory that it had so far (proc_pid_status(5), VmHWM)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        (kib,) = re.findall(r"^VmHWM:\s*([0-9]+) kB$", status, re.MULTILINE)
        return int(kib) * 1024

    @property
    def out(self) -> str:
        """What it printed so far."""
        return self._said("out")

    @property
    def err(self) -> str:
        """What it logged so far."""
        return self._said("err")

    def kill(self) -> None:
        """End it with SIGKILL, now."""
        self._signal(signal.SIGKILL)
        self._process.join(END_SECONDS)

    def end(self) -> int:
        """Ask it to stop (SIGTERM), and return its exit code."""
        self._signal(signal.SIGTERM)
        return self.wait()

    def pause(self) -> None:
        """Stop it (SIGSTOP) until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def wait(self, seconds: float = END_SECONDS) -> int:
        """Wait until it has ended, and return its exit code; TimeoutError if it has not."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            self.kill()
            raise TimeoutError(f"{' '.join(self.words)} still runs after {seconds} s: {self.err}")
        return self._process.exitcode

    async def ended(self, seconds: float = END_SECONDS) -> int:
        """Do the same while the source in this process goes on answering."""
        return await asyncio.to_thread(self.wait, seconds)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _said(self, name: str) -> str:
        file = self.logs / name
        return file.read_text(errors="replace") if file.exists() else ""


def is_stopped(pid: int) -> bool:
    """Tell whether a process stands still."""
    return _state(pid) == "T"


def has_ended(pid: int) -> bool:
    """Tell whether a process has ended, whether or not its parent knows."""
    return _state(pid) in {"", "Z", "X"}


def _state(pid: int) -> str:
    """Return a process's state (proc_pid_stat(5)); empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
