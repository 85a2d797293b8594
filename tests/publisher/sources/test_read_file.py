"""Which files can be read, and what is said about the others."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from publisher.sources.read_file import FileMissing, Unreadable, read_file
from tests.support.messages import whole

LIMIT = 1000
NOBODY = 65534


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.json", "does not exist"),
        ("", "is a folder, not a file"),
        ("loop", "cannot be read: Too many levels of symbolic links"),
        ("plain/none", "cannot be read: Not a directory"),
        ("x" * 300, "cannot be read: File name too long"),
        ("a\0b", "is not a valid path"),
    ],
    ids=["missing", "folder", "loop", "below a file", "long name", "NUL"],
)
def test_the_reason_is_named(tmp_path: Path, name: str, message: str) -> None:
    """Each unreadable path is one line; a missing file has a class of its own."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "plain").touch()
    with pytest.raises(Unreadable, match=f"^{message}$") as caught:
        read_file(Path(f"{tmp_path}/{name}"), LIMIT)
    assert isinstance(caught.value, FileMissing) == (name == "none.json")


def test_a_file_without_read_permission_is_refused(folder: Path) -> None:
    """The message has the system's reason."""
    path = folder / "tree.json"
    path.touch(mode=0o000)
    folder.chmod(0o755)
    with as_nobody(), pytest.raises(Unreadable, match="cannot be read: Permission denied"):
        read_file(path, LIMIT)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user without rights if the tests run as root, who may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A pipe without a writer, an endless device and a socket do not block the reader."""
    os.mkfifo(tmp_path / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    with listener:
        for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path / "socket"):
            with pytest.raises(Unreadable, match=r"not a regular file|No such device"):
                read_file(path, LIMIT)


@pytest.mark.contract("7")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_private_file_is_its_owners_alone(tmp_path: Path, mode: int) -> None:
    """With `private`, a file that others can use is refused; advice: chmod."""
    path = tmp_path / "token"
    path.write_text("hush")
    path.chmod(mode)
    assert read_file(path, LIMIT) == b"hush"
    with pytest.raises(
        Unreadable,
        match=whole(
            f"can be used by others than its owner (mode {mode:04o}): run `chmod 600 {path}`"
        ),
    ):
        read_file(path, LIMIT, private=True)


def test_only_the_limit_is_read(tmp_path: Path) -> None:
    """A file that is too large does not fill the memory."""
    path = tmp_path / "large.json"
    path.write_bytes(b"x" * (LIMIT + 10))
    assert read_file(path, LIMIT) == b"x" * LIMIT
