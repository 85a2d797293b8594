"""Runs a command line: fast start, one line per error, exit codes.

It imports no library, so that `--help` waits for none.

Starting is mostly importing. The garbage collector would check all imported objects again and
again, and find nothing to free: it is paused meanwhile, and ignores them from then on. That saves
a third of the time that the imports of `sync` take.
"""

import errno
import gc
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final, NoReturn

from plumbing.errors import Error

OUTPUT_ERRORS: Final = frozenset({errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF})


def import_command(module: str) -> ModuleType:
    """Import and return a command's module; the garbage collector ignores its objects."""
    if module not in sys.modules:
        with gc_paused():
            import_module(module)
            gc.freeze()
    return sys.modules[module]


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the garbage collector while modules are imported."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def run_app(app: Callable[[], None]) -> NoReturn:
    """Run `app` and exit: an Error becomes its message on stderr and its exit code."""
    if sys.stdout is None:  # it was closed
        _discard_output()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # so that every name can be printed
    try:
        app()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except Error as error:
        code = _print_error(str(error), error.exit_code)
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except OSError as error:
        if error.filename is not None or error.errno not in OUTPUT_ERRORS:
            raise
        code = _print_error(f"standard output cannot be written: {error.strerror}", 1)
    gc.freeze()  # the process ends: nothing needs to be freed any more
    sys.exit(_flush_output(code))


def _flush_output(code: int) -> int:
    """Return `code`, or an error's if some output could not be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _discard_output()
        if error.errno == errno.EPIPE:
            return code or 1  # the reader has closed the pipe, as `head` does
        return _print_error(f"standard output cannot be written: {error.strerror}", code or 1)
    return code


def _discard_output() -> None:
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  open until the end


def _print_error(message: str, code: int) -> int:
    """Print `message` to stderr and return `code`."""
    sys.stderr.writelines(f"error: {line}\n" for line in message.splitlines())
    return code
