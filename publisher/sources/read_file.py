"""Reads a file with a limit on its size; never blocks on a pipe."""

import os
import stat
from os import O_NONBLOCK
from pathlib import Path


class Unreadable(Exception):
    """A file, or a command's output, cannot be read.

    The text is the end of a sentence that begins with its name.
    """


class FileMissing(Unreadable):
    """There is no such file."""


def read_file(path: Path, limit: int, *, private: bool = False) -> bytes:
    """Return the first `limit` bytes of a regular file.

    `private`: refuse a file that anybody but its owner can use. Raises Unreadable.
    """
    try:
        # O_NONBLOCK: a pipe without a writer would block
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | O_NONBLOCK)) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise Unreadable("is not a regular file but a pipe, a device or a socket")
            if private and mode & 0o077:
                raise Unreadable(
                    f"can be used by others than its owner (mode {stat.S_IMODE(mode):04o}): "
                    f"run `chmod 600 {path}`"
                )
            return file.read(limit)
    except FileNotFoundError:
        raise FileMissing("does not exist") from None
    except IsADirectoryError:
        raise Unreadable("is a folder, not a file") from None
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from error
    except ValueError:
        raise Unreadable("is not a valid path") from None
