"""Reading a file whole: bounded, never hanging on a pipe, with errors that say what to do."""

import os
import stat
from pathlib import Path


class Unreadable(Exception):
    """Why a file cannot be read: the rest of a sentence that begins with its path."""


class Missing(Unreadable):
    """There is no such file."""


def read(path: Path, limit: int, *, private: bool = False) -> bytes:
    """Return the first `limit` bytes of a regular file.

    `private`: refuse a file that others than its owner can use. Raises Unreadable.
    """
    try:
        with open(path, "rb", opener=_open) as file:
            _check(path, os.fstat(file.fileno()).st_mode, private=private)
            return file.read(limit)
    except FileNotFoundError:
        raise Missing("does not exist") from None
    except IsADirectoryError:
        raise Unreadable("is a folder, not a file") from None
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from error
    except ValueError:
        raise Unreadable("is no path") from None


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # else a pipe without a writer would block


def _check(path: Path, mode: int, *, private: bool) -> None:
    if not stat.S_ISREG(mode):
        raise Unreadable("is no regular file but a pipe, a device or the like")
    if private and mode & 0o077:
        raise Unreadable(
            f"can be used by others than its owner (mode {stat.S_IMODE(mode):04o}): "
            f"run `chmod 600 {path}`"
        )
