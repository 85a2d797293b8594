"""A copy of the code, in which mutants are tested.

It has a Python environment of its own, whose interpreter imports the copy whatever directory and
environment it is started with. So commands that tests start as processes are those of the mutant too.
"""

import contextlib
import itertools
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil

from tests.support.paths import ROOT

T = TypeVar("T")
R = TypeVar("R")

NO_TESTS: Final = 5
"""pytest's exit code."""
SECONDS_TO_END: Final = 20.0


class CopiedTree:
    """A copy of the code in `folder`, whose path has to be short (Unix sockets)."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        folder.parent.chmod(0o755)  # PostgreSQL runs as another user
        self._folder = folder
        self._clock = itertools.count(1_000_000_000)
        self.root = folder / "code"
        self._temporary = folder / "t"
        listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.check_output(listing, cwd=ROOT, text=True).splitlines():
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        (folder / "shared").symlink_to(ROOT.parent / "shared")
        self._make_environment()

    def _make_environment(self) -> None:
        """Make an environment with the packages of the checkout's, which imports the copy."""
        ours, theirs = Path(sys.prefix), self.root / ".venv"
        shutil.copytree(ours / "bin", theirs / "bin", symlinks=True)
        for script in (theirs / "bin").iterdir():
            if not script.is_symlink():
                content = script.read_bytes()
                script.write_bytes(content.replace(bytes(ours), bytes(theirs)))
        shutil.copy(ours / "pyvenv.cfg", theirs)
        self._packages = theirs / Path(sysconfig.get_path("purelib")).relative_to(ours)
        self._packages.mkdir(parents=True)
        lines = [str(self.root), f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})"]
        (self._packages / "copy.pth").write_text("\n".join(lines), encoding="utf-8")

    @contextlib.contextmanager
    def recorded(self) -> Iterator[Path]:
        """Record all calls in this block; yield the log."""
        hook = self._packages / "recording.pth"
        folder = self.root / ".recorded"
        folder.mkdir()
        (folder / "calls").touch()
        (folder / "running").write_bytes(bytes(8))
        hook.write_text("import tests.mutants.recording as r; r.install()\n", encoding="utf-8")
        yield folder / "calls"
        hook.unlink()
        shutil.rmtree(folder)

    @contextlib.contextmanager
    def changed(self, path: str, text: str) -> Iterator[None]:
        """Let the module at `path` have another text in this block."""
        module = self.root / path
        original = module.read_text("utf-8")
        self._write(module, text)
        yield
        self._write(module, original)

    def _write(self, module: Path, text: str) -> None:
        """Write a module, with a time that no other text of it has had.

        So no bytecode of another text is used.
        """
        module.write_text(text, encoding="utf-8")
        moment = next(self._clock)
        os.utime(module, (moment, moment))

    def run(self, plan: dict[str, Any], words: Sequence[str], seconds: float) -> tuple[int, Any]:
        """Run pytest with the plugin; return its exit code and what the plugin wrote.

        The exit code is -9 if pytest did not end in time. What it left running is killed.
        """
        self._temporary.mkdir()
        (self._folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        result = self._folder / "result.json"
        result.write_text("null", encoding="utf-8")
        with (self._folder / "output").open("wb") as output:
            pytest = subprocess.Popen(
                [
                    self.root / ".venv/bin/python",
                    "-m",
                    "pytest",
                    "-p",
                    "tests.mutants.plugin",
                    *words,
                ],
                cwd=self.root,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            code = _end(pytest, seconds)
        self._kill_leftovers()
        shutil.rmtree(self._temporary, ignore_errors=True)
        return code, json.loads(result.read_text("utf-8"))

    def _environment(self) -> dict[str, str]:
        own = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "CI"}}
        plan = str(self._folder / "plan.json")
        return {**own, "PYTHONHASHSEED": "0", "TMPDIR": str(self._temporary), "MUTANTS_PLAN": plan}

    def _kill_leftovers(self) -> None:
        """Kill the processes that mention this copy: tests of a mutant may not clean up."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if any(f"{self._folder}{os.sep}" in word for word in process.cmdline()):
                    process.kill()

    def output(self) -> str:
        """Return what pytest printed last."""
        return (self._folder / "output").read_text("utf-8", errors="replace")


def in_each(
    trees: Sequence[CopiedTree], judge: Callable[[CopiedTree, T], R], mutants: Sequence[T]
) -> Iterator[R]:
    """Yield what `judge` returns for each mutant, in order.

    Each tree has one mutant at a time.
    """
    free: queue.SimpleQueue[CopiedTree] = queue.SimpleQueue()
    for tree in trees:
        free.put(tree)

    def judge_one(mutant: T) -> R:
        tree = free.get()
        try:
            return judge(tree, mutant)
        finally:
            free.put(tree)

    with ThreadPoolExecutor(len(trees)) as threads:
        yield from threads.map(judge_one, mutants)


def _end(process: subprocess.Popen[bytes], seconds: float) -> int:
    """Wait for the process; after `seconds` interrupt it, at last kill it."""
    for patience, number in ((seconds, signal.SIGINT), (SECONDS_TO_END, signal.SIGKILL)):
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
    process.wait()
    return -signal.SIGKILL
