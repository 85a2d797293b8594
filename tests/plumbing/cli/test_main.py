"""A command line ends with one line per error and the right exit code."""

import errno
import gc
import io
import os
import signal
import sys
from collections.abc import Callable

import pytest

from plumbing.cli.main import _flush_output, gc_paused, import_command, run_app
from plumbing.errors import ConfigError, Error

pytestmark = pytest.mark.contract("7")


def raising(error: BaseException) -> Callable[[], None]:
    def app() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("app", "code", "message"),
    [
        (lambda: None, 0, ""),
        (raising(SystemExit(3)), 3, ""),
        (raising(Error("first\nsecond")), 1, "error: first\nerror: second\n"),
        (raising(ConfigError("publisher.toml: wrong")), 2, "error: publisher.toml: wrong\n"),
        (raising(KeyboardInterrupt()), 128 + signal.SIGINT, ""),
        (
            raising(OSError(errno.ENOSPC, "No space left on device")),
            1,
            "error: standard output cannot be written: No space left on device\n",
        ),
    ],
)
def test_exits_with_the_code_of_the_error(
    app: Callable[[], None], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line of the message is marked as an error; there is no traceback."""
    with pytest.raises(SystemExit) as end:
        run_app(app)
    gc.unfreeze()
    assert end.value.code == code
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("error", [ValueError("a bug"), FileNotFoundError(errno.ENOENT, "no", "x")])
def test_shows_the_traceback_of_a_bug(error: Exception) -> None:
    """Other exceptions are bugs of ours, and so are errors of a named file."""
    with pytest.raises(type(error)):
        run_app(raising(error))


def test_pauses_the_garbage_collector_during_an_import() -> None:
    """Afterwards it runs if it ran before."""
    with gc_paused():
        assert not gc.isenabled()
        with gc_paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_imports_a_command_once() -> None:
    """Later calls return the same module."""
    assert import_command("plumbing.clock") is sys.modules["plumbing.clock"]


class BrokenOutput(io.StringIO):
    """A standard output that cannot be written."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def flush(self) -> None:
        """Fail."""
        raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize(("code", "expected"), [(0, 1), (3, 3)])
@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EPIPE, ""),
        (errno.ENOSPC, "error: standard output cannot be written: No space left on device\n"),
    ],
)
def test_output_that_cannot_be_flushed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: int,
    expected: int,
    number: int,
    message: str,
) -> None:
    """A success becomes an error; an error keeps its exit code."""
    monkeypatch.setattr(sys, "stdout", BrokenOutput(number))
    assert _flush_output(code) == expected
    sys.stdout.close()  # what it discards the rest with
    assert capsys.readouterr().err == message
