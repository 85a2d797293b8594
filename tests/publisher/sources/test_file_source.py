"""The source `file`."""

from pathlib import Path

import aiohttp
import pytest

from plumbing.config.settings import Settings
from publisher.errors import BadSnapshot, SourceError
from publisher.sources import Answer
from tests.publisher.sources.open_sources import open_source
from tests.support.messages import whole


async def fetch(path: Path | str, session: aiohttp.ClientSession, **catalog: object) -> Answer:
    """Fetch the catalog `shelf` from the file `path`."""
    section = {"source": "file", "url": str(path), **catalog}
    settings = Settings.model_validate({"catalogs": {"shelf": section}})
    return await open_source(session, settings, "shelf").fetch()


async def test_the_content_is_the_answer(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """The content may be a bare list of categories."""
    path = tmp_path / "tree.json"
    path.write_bytes(b"[]")
    assert await fetch(path, session) == Answer(b"[]", bare_list=True)


async def test_a_symbolic_link_is_followed(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Deployments switch versions by a symbolic link."""
    (tmp_path / "v1.json").write_bytes(b"[1]")
    (tmp_path / "tree.json").symlink_to("v1.json")
    assert (await fetch(tmp_path / "tree.json", session)).body == b"[1]"


@pytest.mark.contract("6")
async def test_a_file_over_the_limit_is_refused(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """`max_body_bytes` holds to the byte, and the message names it."""
    path = tmp_path / "tree.json"
    path.write_bytes(b" " * 1000)
    assert len((await fetch(path, session, max_body_bytes=1000)).body) == 1000
    path.write_bytes(b" " * 1001)
    with pytest.raises(
        BadSnapshot,
        match=whole(
            "<any>/tree.json has more than 1000 bytes: if that is right, raise max_body_bytes"
        ),
    ):
        await fetch(path, session, max_body_bytes=1000)


async def test_an_unreadable_file_fails_the_fetch(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The message has the path and the reason; test_read_file has all reasons."""
    path = tmp_path / "none.json"
    with pytest.raises(SourceError, match=whole(f"{path} does not exist")):
        await fetch(path, session)
