"""Token pairs in a file: stored atomically, for the owner alone, with a lock."""

import os
from pathlib import Path

import pytest

from publisher.errors import SourceError, TokenError
from publisher.sources.tiktok.tokens.file_store import FileTokenStore
from publisher.sources.tiktok.tokens.pair import TokenPair
from tests.support.messages import whole

NOW = 1_800_000_000.0
DAY = 24 * 3600
PAIR = TokenPair(access_token="access-0", refresh_token="refresh-0")


async def test_a_stored_pair_is_loaded(tmp_path: Path) -> None:
    """Mode 0600 with any umask; nothing else is left in the folder."""
    file = FileTokenStore(tmp_path / "tokens.json")
    pair = TokenPair(access_token="access-1", stored_at=NOW, access_token_expires_at=NOW + 60)
    before = os.umask(0)
    try:
        await file.store(pair)
    finally:
        os.umask(before)
    assert await file.load() == pair
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file.path]


async def test_no_file_is_no_pair(tmp_path: Path) -> None:
    """That is not an error: the settings may have tokens."""
    assert await FileTokenStore(tmp_path / "none").load() is None


async def test_the_file_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    """Even if others could read it."""
    file = FileTokenStore(tmp_path / "tokens.json")
    (tmp_path / "tokens.json.next").write_text("half a p")
    (tmp_path / "tokens.json.next").chmod(0o644)
    await file.store(PAIR)
    assert file.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.contract("7")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
async def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """The message has the command that closes it."""
    file = FileTokenStore(tmp_path / "tokens.json")
    await file.store(PAIR)
    file.path.chmod(mode)
    with pytest.raises(
        TokenError,
        match=whole(
            f"{file.path} can be used by others than its owner (mode {mode:04o}): run `chmod 600 "
            f"{file.path}`"
        ),
    ):
        await file.load()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"access_token":"hush"',
        b'{"refresh_token":"hush"}',
        b'{"access_token":17,"refresh_token":"hush"}',
        b'{"access_token":"hush hush","refresh_token":"hush"}',
        b'{"access_token":"hush\\nX-Evil: 1","refresh_token":"hush"}',
        b'{"access_token":"","refresh_token":"hush"}',
        b"\xff\xfe",
        b"hush" * 100_000,
    ],
)
async def test_a_damaged_file_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    """The message has its path and the advice, but nothing of its content."""
    file = FileTokenStore(tmp_path / "tokens.json")
    file.path.write_bytes(content)
    file.path.chmod(0o600)
    with pytest.raises(
        TokenError,
        match=whole(
            "<any>/tokens.json is not a token file (<any>): run `category-publisher authorize`, "
            "which replaces it"
        ),
    ) as error:
        await file.load()
    assert "hush" not in str(error.value)
    assert str(file.path) in str(error.value)


@pytest.mark.parametrize("action", ["store", "check_writable"])
async def test_a_failed_store_is_a_clear_error(tmp_path: Path, action: str) -> None:
    """The message has the path and advice; the folder is a file, or is missing."""
    (tmp_path / "plain").touch()
    for folder in (tmp_path / "plain", tmp_path / "gone"):
        file = FileTokenStore(folder / "tokens.json")
        with pytest.raises(
            TokenError,
            match=whole(
                f"{file.path}: tokens cannot be stored: <any>: make its folder writable for this "
                "user, or choose another token_file"
            ),
        ):
            await (file.store(PAIR) if action == "store" else file.check_writable())


async def test_a_lock_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """The folder is a file, or the lock a folder; the message has path and advice."""
    (tmp_path / "plain").touch()
    (tmp_path / "tokens.json.lock").mkdir()
    for path in (tmp_path / "plain" / "tokens.json", tmp_path / "tokens.json"):
        with pytest.raises(
            TokenError,
            match=whole(
                f"{path}: tokens cannot be stored: <any>: make its folder writable for this "
                "user, or choose another token_file"
            ),
        ):
            async with FileTokenStore(path).locked():
                pass


@pytest.mark.parametrize("stored", [None, PAIR])
async def test_only_the_expected_pair_is_replaced(tmp_path: Path, stored: TokenPair | None) -> None:
    """What `replace` returns is what it did; another pair stays."""
    file, new = FileTokenStore(tmp_path / "tokens.json"), PAIR.model_copy(update={"stored_at": NOW})
    if stored is not None:
        await file.store(stored)
    for other in {None, PAIR, new} - {stored}:
        assert await file.replace(other, new) is False
        assert await file.load() == stored
    assert await file.replace(stored, new) is True
    assert await file.load() == new


async def test_the_lock_makes_the_folder(tmp_path: Path) -> None:
    """`data_dir` need not exist; nobody but its owner can use it."""
    file = FileTokenStore(tmp_path / "data" / "deep" / "tokens.json")
    async with file.locked():
        await file.store(PAIR)
    assert await file.load() == PAIR
    assert file.path.parent.stat().st_mode & 0o077 == 0


async def test_a_lock_that_is_not_released_is_an_error(tmp_path: Path) -> None:
    """After some time; the message names the lock."""
    one, other = FileTokenStore(tmp_path / "tokens.json"), FileTokenStore(tmp_path / "tokens.json")
    async with one.locked():
        with pytest.raises(
            SourceError,
            match=whole(
                "<any>/tokens.json.lock: another process has been refreshing the tokens for 0.2 "
                "s: does it hang?"
            ),
        ):
            async with other.locked(0.2):
                pass
    async with other.locked(0.2):
        pass
