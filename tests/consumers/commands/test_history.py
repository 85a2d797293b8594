"""`category-consumer history`: what a user types, sees and gets as exit code."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from consumers.cli import app
from consumers.commands.history import show_changes, show_tree
from consumers.contract.history_point import parse
from consumers.history.output import JsonHistoryOutput, TextHistoryOutput
from plumbing.errors import ConfigError
from plumbing.redis.server import Server
from tests.consumers.history.history_builder import (
    TIMES,
    open_projection,
    reader_of,
    record_example,
)
from tests.consumers.pretend_publisher import PretendPublisher, row, tree
from tests.support.processes import CONSUMER, call
from tests.support.valkey import Valkey

STORE = "sqlite:///history.sqlite"
EVIL = "\x1b[31m\u202eGarden\n"


@pytest.fixture
async def publisher(valkey: Valkey) -> AsyncIterator[PretendPublisher]:
    """Give a publisher of `us` on a real server that was empty."""
    async with Server(valkey.url).client() as client:
        await client.flushall()
        yield PretendPublisher(client)


def ask(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a question to its end."""
    return call(CONSUMER, "history", "us", "--to", STORE, *words, cwd=cwd)


async def test_kept_and_asked(publisher: PretendPublisher, valkey: Valkey, folder: Path) -> None:
    """It catches up from Redis, and then answers without one."""
    config = folder / "publisher.toml"
    config.write_text(f'redis_url = "{valkey.url}"\n')
    for name in ("Home", "Home & Garden"):
        await publisher.commit(tree(row("1", name, is_leaf=False), row("2", EVIL, "1")))
        assert ask("--once", "--name", "mine", cwd=folder).returncode == 0
    assert await publisher.client.hkeys("catalog:{us}:consumers") == [b"mine"]
    config.write_text("nonsense")
    done = ask("--as-of", "2", cwd=folder)
    shown = r"\x1b[31m\u202eGarden\n"
    assert (done.returncode, done.stdout) == (0, f"1        Home\n2  leaf  Home > {shown}\n")
    assert done.stderr.startswith("us: 2 categories as of resync 1 to 9f3c1a2b-2-")
    assert done.stderr.endswith(" (2026-11-23T09:40:03.569Z)\n")
    done = ask("--between", "2", "3", cwd=folder)
    assert done.stdout == (
        "2026-11-23T09:40:03.569Z  9f3c1a2b-3  updated  1  local_name 'Home' → 'Home & Garden'\n"
    )
    assert done.stderr.startswith("us: 1 changes, 0 resyncs, after resync 1 to 9f3c1a2b-2-")
    assert f" up to {publisher.position} (" in done.stderr


async def test_json(to: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Programs get the state's rows, and changes and resyncs with all that is known of them."""
    async with open_projection(to) as history:
        await record_example(history)
        reader = await reader_of(history)
        await show_tree(reader, JsonHistoryOutput(), parse(TIMES[5]))
        lines = capsysbinary.readouterr().out.splitlines()
        await show_changes(reader, JsonHistoryOutput(), parse("4"), parse("2030-01-01"))
        told = capsysbinary.readouterr().out.splitlines()
    assert lines[0] == b'{"id":"1","parent_id":"0","local_name":"Home & Garden","is_leaf":false}'
    assert [orjson.loads(line)["id"] for line in lines] == ["1", "2", "4"]
    first, _, _, resync, added, updated, *_ = map(orjson.loads, told)
    assert list(first) == [
        *("time", "resync", "sequence", "event", "type", "category", "before", "changed")
    ]
    assert (first["event"][:11], first["changed"]) == ("9f3c1a2b-5-", ["is_leaf"])
    assert first["before"] == {**first["category"], "is_leaf": True}
    assert resync["from_position"].startswith("9f3c1a2b-7-")
    assert resync["to_position"].startswith("9f3c1a2b-11-")
    del resync["from_position"], resync["to_position"]
    place = {"time": TIMES[10], "resync": 2, "sequence": 11, "event": None}
    assert resync == {**place, "type": "resync", "added": 1, "updated": 2, "removed": 1}
    tulips = {"id": "5", "parent_id": "1", "local_name": "Tulips", "is_leaf": True}
    assert added == {**place, "type": "added", "category": tulips}
    assert (updated["type"], updated["changed"]) == ("updated", ["local_name"])


async def test_a_resync_is_shown_as_one(
    to: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Its line says from where to where, and what it found stands below it under its number."""
    screen = TextHistoryOutput()
    async with open_projection(to) as history:
        await record_example(history)
        await show_changes(await reader_of(history), screen, parse("7"), parse("11"))
    screen.flush()
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert lines[0].startswith(
        f"{TIMES[10]}  resync 2  1 added, 2 updated, 1 removed from 9f3c1a2b-7-"
    )
    assert lines[1] == f"{TIMES[10]}  resync 2  added    5  'Tulips' below '1'"
    assert len(lines) == 5


def test_no_such_file(folder: Path) -> None:
    """What is not there is one line and exit code 1, and no file is made."""
    done = ask("--as-of", "5", cwd=folder)
    assert done.returncode == 1
    assert done.stderr == f"error: {STORE}: there is no such file\n"
    assert list(folder.iterdir()) == []


async def test_head(folder: Path) -> None:
    """Whoever has seen enough closes the pipe, and that is no failure."""
    async with open_projection(f"sqlite:///{folder / 'history.sqlite'}") as history:
        await record_example(history)
    assert unread("--between", "3", "12", cwd=folder) == (0, b"")


def unread(*words: str, cwd: Path) -> tuple[int, bytes]:
    """Ask when nobody reads the answer, and return exit code and standard error."""
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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--as-of", "5", "--between", "1", "2"), "one query at a time"),
        (("--as-of", "5", "--once"), "--once, --name: not with --as-of"),
        (("--between", "1", "2", "--name", "mine"), "--once, --name: not with --as-of"),
        (("--json",), "--json: only with --as-of or --between"),
        (("--as-of", "yesterday"), "'yesterday' is no moment"),
        (("--between", "1", "soon"), "'soon' is no moment"),
        (("--name", ""), "a consumer's name is not empty"),
    ],
)
def test_a_wrong_command_line(to: str, words: tuple[str, ...], told: str) -> None:
    """It is refused before anything is opened."""
    with pytest.raises(ConfigError, match=told):
        app(["history", "us", "--to", to, *words], standalone_mode=False)
