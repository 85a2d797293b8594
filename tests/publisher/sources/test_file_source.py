"""The source `file`."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from plumbing.config.settings import Settings
from publisher.errors import BadSnapshot, SourceError
from publisher.sources import Answer
from tests.publisher.sources.open_sources import open_source

NOBODY = 65534


async def fetch(path: Path | str, session: aiohttp.ClientSession, **catalog: object) -> Answer:
    made = {"catalogs": {"shelf": {"source": "file", "url": str(path), **catalog}}}
    return await open_source(session, Settings.model_validate(made), "shelf").fetch()


async def test_the_content_is_the_answer(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Read anew each time; the content may be a bare list."""
    path = tmp_path / "tree.json"
    path.write_bytes(b"[]")
    assert await fetch(path, session) == Answer(b"[]", bare_list=True)


async def test_a_link_is_as_good_as_its_file(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Deployments switch versions by a symbolic link."""
    (tmp_path / "v1.json").write_bytes(b"[1]")
    (tmp_path / "tree.json").symlink_to("v1.json")
    assert (await fetch(tmp_path / "tree.json", session)).body == b"[1]"


async def test_the_limit_holds_to_the_byte(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """A file over max_body_bytes is refused, with the setting's name."""
    path = tmp_path / "tree.json"
    path.write_bytes(b" " * 1000)
    assert len((await fetch(path, session, max_body_bytes=1000)).body) == 1000
    path.write_bytes(b" " * 1001)
    with pytest.raises(BadSnapshot, match=r"has more than 1000 bytes.*max_body_bytes"):
        await fetch(path, session, max_body_bytes=1000)


async def test_what_cannot_be_read_is_told(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Missing, a folder, a loop of links, below a file: the path and what is wrong with it."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "plain").touch()
    for name, says in (
        ("none.json", "does not exist"),
        ("", "is a folder, not a file"),
        ("loop", "cannot be read: Too many levels of symbolic links"),
        ("plain/none", "cannot be read: Not a directory"),
        ("x" * 300, "cannot be read: File name too long"),
        ("a\0b", "is not a valid path"),
    ):
        path = f"{tmp_path}/{name}"
        with pytest.raises(SourceError, match=says):
            await fetch(path, session)


async def test_a_file_without_read_permission_is_told(
    session: aiohttp.ClientSession, folder: Path
) -> None:
    """The system's reason is given."""
    path = folder / "tree.json"
    path.touch(mode=0o000)
    folder.chmod(0o755)
    with as_nobody(), pytest.raises(SourceError, match="cannot be read: Permission denied"):
        await fetch(path, session)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user without rights where the tests run as root, who may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


async def test_what_is_no_regular_file_is_refused(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A pipe without a writer, an endless device and a socket do not hang the poll."""
    os.mkfifo(tmp_path / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    with listener:
        for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path / "socket"):
            with pytest.raises(SourceError, match=r"not a regular file|No such device"):
                await fetch(path, session)
