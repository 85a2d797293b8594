"""`category-consumer history`: its options, output and exit codes."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from consumers.cli import app
from consumers.commands.history import show_changes
from consumers.contract.history_point import parse
from consumers.history.output import JsonHistoryOutput
from plumbing.errors import ConfigError
from plumbing.redis.server import Server
from tests.consumers.history.history_builder import (
    TIMES,
    open_projection,
    reader_of,
    record_example,
)
from tests.consumers.mirrors import execute, tables_in
from tests.consumers.pretend_publisher import PretendPublisher, row, tree
from tests.support.processes import CONSUMER, call
from tests.support.valkey import Valkey

STORE = "sqlite:///history.sqlite"
EVIL = "\x1b[31m\u202eGarden\n"


@pytest.fixture
async def publisher(valkey: Valkey) -> AsyncIterator[PretendPublisher]:
    """Return a publisher of `us` on an empty real server."""
    async with Server(valkey.url).client() as client:
        await client.flushall()
        yield PretendPublisher(client)


def call_history(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `history` to its end."""
    return call(CONSUMER, "history", "us", "--to", STORE, *words, cwd=cwd)


@pytest.mark.contract("7")
async def test_recorded_and_printed(
    publisher: PretendPublisher, valkey: Valkey, folder: Path
) -> None:
    """`--once` catches up from Redis; `--as-of` and `--between` need no Redis."""
    config = folder / "publisher.toml"
    config.write_text(f'redis_url = "{valkey.url}"\n')
    for name in ("Home", "Home & Garden"):
        await publisher.commit(tree(row("1", name, is_leaf=False), row("2", EVIL, "1")))
        assert call_history("--once", "--name", "mine", cwd=folder).returncode == 0
    assert await publisher.client.hkeys("catalog:{us}:consumers") == [b"mine"]
    config.write_text("nonsense")
    done = call_history("--as-of", "2", cwd=folder)
    shown = r"\x1b[31m\u202eGarden\n"
    assert (done.returncode, done.stdout) == (0, f"1        Home\n2  leaf  Home > {shown}\n")
    assert done.stderr.startswith("us: 2 categories as of resync 1 to 9f3c1a2b-2-")
    assert done.stderr.endswith(" (2026-11-23T09:40:03.569Z)\n")
    done = call_history("--between", "2", "3", cwd=folder)
    assert done.stdout == (
        "2026-11-23T09:40:03.569Z  9f3c1a2b-3  updated  1  local_name 'Home' → 'Home & Garden'\n"
    )
    assert done.stderr.startswith("us: 1 changes, 0 resyncs, after resync 1 to 9f3c1a2b-2-")
    assert f" up to {publisher.position} (" in done.stderr
    done = call_history("--as-of", "2", "--json", cwd=folder)
    assert [orjson.loads(line) for line in done.stdout.splitlines()] == [
        row("1", "Home", is_leaf=False),
        row("2", EVIL, "1"),
    ]
    done = call_history("--between", "2", "3", "--json", cwd=folder)
    [change] = map(orjson.loads, done.stdout.splitlines())
    assert (change["category"]["local_name"], done.returncode) == ("Home & Garden", 0)


def test_no_such_file(folder: Path) -> None:
    """A missing file is one line and exit code 1, and is not created."""
    done = call_history("--as-of", "5", cwd=folder)
    assert done.returncode == 1
    assert done.stderr == f"error: {STORE}: there is no such file\n"
    assert list(folder.iterdir()) == []


@pytest.mark.contract("7")
@pytest.mark.parametrize("words", [("--as-of", "5"), ("--between", "1", "2", "--json")])
@pytest.mark.parametrize("tables", [[], ["other"], ["history_resyncs"]], ids=str)
async def test_a_database_without_a_history(
    folder: Path, words: tuple[str, ...], tables: list[str]
) -> None:
    """It exits with 1 and the command to run first, and creates no table."""
    to = f"sqlite:///{folder / 'history.sqlite'}"
    (folder / "history.sqlite").touch()
    if tables == ["history_resyncs"]:
        async with open_projection(to, "uk") as other:
            await record_example(other)
    elif tables:
        execute(to, "CREATE TABLE other (id INTEGER)")
    before = tables_in(to)
    done = call_history(*words, cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: {STORE}: there is no history of catalog us: "
        "run `category-consumer history us --to … --once` first\n"
    )
    assert tables_in(to) == before


@pytest.mark.parametrize(
    "words", [("history", "--as-of", "5"), ("history", "--once"), ("mirror", "--once")]
)
def test_a_file_that_is_no_database(folder: Path, words: tuple[str, ...]) -> None:
    """Each command says so in one line, and leaves the file as it is."""
    (folder / "history.sqlite").write_text("a letter, and no database" * 100)
    (folder / "publisher.toml").write_text('redis_url = "redis://127.0.0.1:1/0"\n')
    done = call(CONSUMER, words[0], "us", "--to", STORE, *words[1:], cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {STORE}: file is not a database (name another file)\n"
    assert (folder / "history.sqlite").read_text() == "a letter, and no database" * 100
    assert len(list(folder.iterdir())) == 2


async def test_closed_stdout(folder: Path) -> None:
    """It is not a failure if the reader of standard output closes it, as `head` does."""
    async with open_projection(f"sqlite:///{folder / 'history.sqlite'}") as history:
        await record_example(history)
    assert call_unread("--between", "3", "12", cwd=folder) == (0, b"")


def call_unread(*words: str, cwd: Path) -> tuple[int, bytes]:
    """Run `history` with a closed standard output; return exit code and errors."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", CONSUMER, "history", "us", "--to", STORE, *words],
        cwd=cwd,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    return done.returncode, done.stderr


FOLLOWING = "--once, --name: not with --as-of or --between, which follow nothing"
POINT = (
    "use a time such as 2026-11-23 or 2026-11-23T09:40:03Z, a sequence such as 105, or an event's "
    "id such as 9f3c1a2b-105"
)


@pytest.mark.contract("7")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--as-of", "5", "--between", "1", "2"),
            "--as-of, --between: one query at a time: use one of the two",
        ),
        (("--as-of", "5", "--once"), FOLLOWING),
        (("--between", "1", "2", "--name", "mine"), FOLLOWING),
        (("--json",), "--json: only with --as-of or --between"),
        (("--as-of", "yesterday"), f"'yesterday' is not a point in history: {POINT}"),
        (("--between", "1", "soon"), f"'soon' is not a point in history: {POINT}"),
        (("--name", ""), "--name: use at least one character, and only printable ones"),
    ],
)
def test_a_wrong_command_line(to: str, words: tuple[str, ...], message: str) -> None:
    """A wrong command line is rejected before anything is opened."""
    with pytest.raises(ConfigError) as caught:
        app(["history", "us", "--to", to, *words], standalone_mode=False)
    assert str(caught.value) == message


@pytest.mark.parametrize(("after", "until"), [("5", "4"), ("11", TIMES[5]), (TIMES[30], TIMES[20])])
async def test_the_wrong_way_round(to: str, after: str, until: str) -> None:
    """The earlier point must be given first, even if both mean the end of the history."""
    async with open_projection(to) as history:
        await record_example(history)
        with pytest.raises(ConfigError, match=f"^--between: {after} is after {until}: name the"):
            await show_changes(
                await reader_of(history), JsonHistoryOutput(), parse(after), parse(until)
            )
