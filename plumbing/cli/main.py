"""Where a command line begins and ends: what it takes to be fast, one line per error, exit codes.

Imports no library, so that whoever only asks for `--help` does not wait for any.

Starting is mostly importing, and the garbage collector looks at all that is imported again and
again, to find nothing: it rests meanwhile, and passes over it from then on, at the end as well. An
interpreter that imports what `sync` does takes 0.64 of the time then.
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
from typing import NoReturn

from plumbing.errors import Error

OUTPUT_ERRORS = frozenset({errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF})


def import_command(module: str) -> ModuleType:
    """Import a command's module, and return it; the garbage collector passes over what comes."""
    if module in sys.modules:
        return sys.modules[module]
    with gc_paused():
        found = import_module(module)
        gc.freeze()
    return found


@contextmanager
def gc_paused() -> Iterator[None]:
    """Let the garbage collector rest while modules are imported."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def main(app: Callable[[], None]) -> NoReturn:
    """Run `app` and exit: an Error becomes its message on stderr and its exit code."""
    _prepare_output()
    try:
        app()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except Error as error:
        code = _told(str(error), error.exit_code)
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except OSError as error:
        if error.filename is not None or error.errno not in OUTPUT_ERRORS:
            raise
        code = _told(f"standard output cannot be written: {error.strerror}", 1)
    code = _flushed(code)
    gc.freeze()  # what is left goes with the process
    sys.exit(code)


def _prepare_output() -> None:
    """Let no name fail to be printed, and no closed output be missed."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flushed(code: int) -> int:
    """Return `code` if all output could be written."""
    try:
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  to the end
        if error.errno == errno.EPIPE:
            return code or 1  # whoever reads has enough, as `head` does
        return _told(f"standard output cannot be written: {error.strerror}", code or 1)
    return code


def _told(message: str, code: int) -> int:
    for line in message.splitlines():
        sys.stderr.write(f"error: {line}\n")
    return code
