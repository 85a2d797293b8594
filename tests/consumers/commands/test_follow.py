"""`category-consumer` as a process: exit codes, signals, and SIGKILL at any moment."""

import os
import pty
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import orjson
import pytest

from consumers.cli import COMMANDS
from consumers.projection_kinds import KINDS
from plumbing.redis.server import Server
from tests.consumers.mirrors import (
    execute,
    run_once,
    stored_position,
    stored_rows,
    wait_until_equal,
)
from tests.consumers.pretend_publisher import PretendPublisher, numbered, row, tree
from tests.support.contract import digest_of_row
from tests.support.processes import CONSUMER, call, start
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")


@pytest.fixture
async def publisher(real_server: Server) -> AsyncIterator[PretendPublisher]:
    """Give a publisher of `us` on a real server."""
    async with real_server.client() as client:
        yield PretendPublisher(client)


@pytest.fixture
def cwd(folder: Path, valkey: Valkey) -> Path:
    """Give a folder whose publisher.toml names the server."""
    (folder / "publisher.toml").write_text(f'redis_url = "{valkey.url}"\n')
    return folder


@contextmanager
def started(*words: str, cwd: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Have a command running, and no process left behind."""
    process = start(CONSUMER, *words, cwd=cwd, **variables)
    with process:
        try:
            yield process
        finally:
            process.kill()


async def test_mirror_once_and_verify(publisher: PretendPublisher, to: str, cwd: Path) -> None:
    """A copy is made, found equal, falls behind, is caught up, and found different."""
    await publisher.commit(tree(HOME))
    mirror = ("mirror", "us", "--to", "sqlite:///copy.sqlite", "--once")
    verify = ("verify", "us", "--to", "sqlite:///copy.sqlite")
    assert call(CONSUMER, *mirror, cwd=cwd).returncode == 0
    done = call(CONSUMER, *verify, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"us: mirror: equal: 1 categories at {publisher.position}\n"
    await publisher.commit(tree(HOME, GARDEN))
    assert call(CONSUMER, *mirror, cwd=cwd).returncode == 0
    execute(to, "DELETE FROM categories WHERE id = '1'")
    done = call(CONSUMER, *verify, cwd=cwd)
    assert done.returncode == 1
    assert "us: mirror: different: 1 categories" in done.stdout
    assert "missing: 1 'Home'" in done.stdout
    done = call(CONSUMER, *verify, "--repair", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    repaired, *differences = done.stdout.splitlines()
    assert repaired == f"us: mirror: repaired: 2 categories at {publisher.position}"
    assert differences[1:] == ["missing: 1 'Home'"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_mirror_until_it_is_stopped(
    publisher: PretendPublisher, to: str, cwd: Path, number: signal.Signals
) -> None:
    """It follows, and a stop signal ends it with 0, quietly."""
    await publisher.commit(tree(HOME))
    with started("mirror", "us", "--name", "mine", cwd=cwd, CATEGORY_PUBLISHER_TO=to) as process:
        await wait_until_equal(to, publisher)
        await publisher.commit(tree(HOME, GARDEN))
        await wait_until_equal(to, publisher)
        process.send_signal(number)
        _, told = process.communicate(timeout=20)
        assert process.returncode == 0
    assert [orjson.loads(line)["event"] for line in told.splitlines()] == ["started", "resynced"]
    assert await publisher.client.hexists("catalog:{us}:consumers", "mine")


async def test_sigkill_at_any_moment(publisher: PretendPublisher, to: str, cwd: Path) -> None:
    """Killed in the midst of its work it has data and checkpoint that fit, and in the end all.

    The conformance suite does that to every projection, in every database.
    """
    choose = random.Random(7)
    await publisher.commit(numbered(300))
    for attempt in range(3):
        with started("mirror", "us", cwd=cwd, CATEGORY_PUBLISHER_TO=to) as process:
            goal = stored_position(to)
            for _ in range(30):
                rows = list(numbered(300).values())
                chosen = choose.sample(rows, choose.randrange(100, 300))
                name = str(choose.random())
                await publisher.commit(tree(*(one | {"local_name": name} for one in chosen)))
            if attempt:  # once it may be killed while it starts
                await eventually(lambda: moved(to, goal))  # noqa: B023
            process.kill()
        check_fit(to)
    assert call(CONSUMER, "mirror", "us", "--to", to, "--once", cwd=cwd).returncode == 0
    await wait_until_equal(to, publisher)


async def moved(to: str, before: str | None) -> bool:
    """Say whether the copy is at another place than `before`."""
    return stored_position(to) not in {None, before}


def check_fit(to: str) -> None:
    """Assert that the copy's rows have the digest of its checkpoint, if it has one."""
    found = stored_position(to)
    if found is not None:
        value = 0
        for one in stored_rows(to).values():
            value ^= digest_of_row(one)
        assert found.endswith(f"-{value:016x}")


async def test_a_catalog_that_is_not_there(publisher: PretendPublisher, cwd: Path) -> None:
    """With --once one line, and no table is filled."""
    del publisher
    for command in (["mirror", "us", "--to", "sqlite:///copy.sqlite"], ["tail", "us"]):
        done = call(CONSUMER, *command, "--once", cwd=cwd)
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert last == "error: catalog us is not in Redis: has a publisher polled it yet?"


async def test_verify_without_anything(publisher: PretendPublisher, to: str, cwd: Path) -> None:
    """No file, no state, no server: exit 2 in one line, and nothing is created."""
    await publisher.commit(tree(HOME))
    verify = ("verify", "us", "--to", "sqlite:///copy.sqlite")
    done = call(CONSUMER, *verify, cwd=cwd)
    assert done.returncode == 2
    assert done.stderr == "error: sqlite:///copy.sqlite: there is no such file\n"
    assert [path.name for path in cwd.iterdir()] == ["publisher.toml"]
    execute(to, "CREATE TABLE other (id INTEGER)")
    done = call(CONSUMER, *verify, cwd=cwd)
    assert done.returncode == 2
    assert "has a projection ever written to it?" in done.stderr
    assert call(CONSUMER, "mirror", "us", "--to", to, "--once", cwd=cwd).returncode == 0
    await publisher.client.flushall()
    assert call(CONSUMER, *verify, cwd=cwd).returncode == 2
    nowhere = {"CATEGORY_PUBLISHER_REDIS_URL": "redis://127.0.0.1:1/0"}
    done = call(CONSUMER, *verify, cwd=cwd, **nowhere)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


async def test_verify_of_several_projections(
    real_server: Server, publisher: PretendPublisher, to: str, cwd: Path
) -> None:
    """Each has its line; 1 wins over 2, and a projection of someone else's is left alone."""
    await publisher.commit(tree(HOME))
    for kind in ("history", "mirror"):
        await run_once(real_server, to, kind)
    at = publisher.position
    execute(to, "UPDATE categories SET is_leaf = 0")
    all_ = (word for kind in KINDS for word in ("--projection", kind))
    done = call(CONSUMER, "verify", "us", "--to", to, "--json", *all_, cwd=cwd)
    assert done.returncode == 1
    mirror, history, map_ = (orjson.loads(line) for line in done.stdout.splitlines())
    assert mirror.pop("differences")[1] == "different: 1: is_leaf False is True in the state"
    both: dict[str, object] = {"catalog": "us", "categories": 1, "position": at, "error": None}
    assert mirror == both | {"projection": "mirror", "outcome": "different"}
    assert history == both | {"projection": "history", "outcome": "equal", "differences": []}
    assert (map_["projection"], map_["outcome"]) == ("map", "not compared")
    assert done.stderr == f"error: us: map: {map_['error']}\n"
    execute(to, "INSERT INTO checkpoints VALUES ('own', 'us', '9f3c1a2b', 1, '1-0', 'x', 'x')")
    done = call(CONSUMER, "verify", "us", "--to", to, "--repair", cwd=cwd)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"us: mirror: repaired: 1 categories at {at}"
    assert lines[-1] == f"us: history: equal: 1 categories at {at}"
    assert orjson.loads(done.stderr)["projection"] == "own"


async def test_verify_of_what_is_not_there(
    real_server: Server, publisher: PretendPublisher, to: str, cwd: Path
) -> None:
    """A projection that was never written, or none at all, is exit 2."""
    await publisher.commit(tree(HOME))
    await run_once(real_server, to)
    verify = ("verify", "us", "--to", to)
    done = call(CONSUMER, *verify, "--projection", "map", cwd=cwd)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: us: map: ")
    execute(to, "DELETE FROM checkpoints")
    done = call(CONSUMER, *verify, cwd=cwd)
    assert done.returncode == 2
    assert "has no projection of catalog us" in done.stderr


async def test_nothing_to_repair_from(
    real_server: Server, publisher: PretendPublisher, to: str, cwd: Path
) -> None:
    """A damaged copy is different, and why it stays so is told."""
    await publisher.commit(tree(HOME))
    await run_once(real_server, to)
    execute(to, "DELETE FROM categories")
    await publisher.client.flushall()
    done = call(CONSUMER, "verify", "us", "--to", to, "--repair", cwd=cwd)
    assert done.returncode == 1
    assert done.stdout.startswith("us: mirror: different: 0 categories")
    assert done.stderr.splitlines()[-1].startswith("error: us: mirror: catalog us is not in Redis")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["mirror", "US", "--to", "sqlite:///x"], "error: catalog 'US': a catalog's name"),
        (["tail", "-x"], "No such option"),
        (["tail", "US"], "error: catalog 'US'"),
        (["verify", "US", "--to", "sqlite:///x"], "error: catalog 'US'"),
        (["mirror", "us"], "CATEGORY_PUBLISHER_TO"),
        (["mirror", "us", "--to", "sqlite:///x", "--name", ""], "error: --name"),
        (["mirror", "us", "--to", "x"], "error: --to: not a database URL"),
        (["mirror", "us", "--to", "postgresql://me:hunter2@h"], "error: --to: which database?"),
        (["tail", "us", "--lines", "-1"], "--lines"),
        (["tail", "us", "--lines", "1", "--since", "1"], "error: --since, --lines: "),
        (["tail", "us", "--since", "soon"], "error: 'soon' is no point in history"),
        (
            ["tail", "us", "--type", "moved"],
            "error: --type: there is no type 'moved', but: added, ",
        ),
        (["verify", "us", "--to", "sqlite:///x", "--projection", "y"], "error: --projection: "),
        (["tail", "us", "--config", "nope.toml"], "error: nope.toml: no such file"),
        (["dance"], "No such command"),
    ],
)
def test_a_wrong_command_line(words: list[str], told: str, cwd: Path) -> None:
    """It is exit 2, says what is wrong, and repeats no password."""
    done = call(CONSUMER, *words, cwd=cwd)
    assert done.returncode == 2
    assert told in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


async def test_tail(publisher: PretendPublisher, cwd: Path) -> None:
    """Lines for humans, JSON for programs, the new ones as they come, and 0 when stopped."""
    await publisher.commit(tree(HOME, GARDEN))
    done = call(CONSUMER, "tail", "us", "--once", "--lines", "1", cwd=cwd)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert done.stdout.endswith("9f3c1a2b-2  added    2  'Garden' below '1'\n")
    with started("tail", "us", "--json", cwd=cwd) as process:
        assert process.stdout is not None
        seen = [orjson.loads(process.stdout.readline())["id"] for _ in range(2)]
        assert seen[1] == publisher.position
        await publisher.commit(tree(HOME, GARDEN, TOYS))
        assert orjson.loads(process.stdout.readline())["id"] == publisher.position
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0


async def test_tail_since_and_types(publisher: PretendPublisher, cwd: Path) -> None:
    """Events of some types from a moment on; what is odd is told on standard error."""
    await publisher.commit(tree(HOME, GARDEN, TOYS))
    await publisher.commit(tree(HOME, TOYS))
    await publisher.commit(tree(HOME, TOYS | {"local_name": "Games"}))
    words = ("tail", "us", "--once", "--type", "category.updated", "--type", "removed")
    done = call(CONSUMER, *words, "--since", "2", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[2] for line in done.stdout.splitlines()] == ["removed", "updated"]
    done = call(CONSUMER, *words, "--since", "2030-01-01", cwd=cwd)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("the stream has no event at or after 2030-01-01T00:00:00.000Z: ")


@pytest.mark.parametrize(
    ("variables", "has_colours"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
    ],
)
async def test_tail_on_a_terminal(
    publisher: PretendPublisher, cwd: Path, variables: dict[str, str], *, has_colours: bool
) -> None:
    """There it has colours, unless they are not wanted."""
    await publisher.commit(tree(HOME))
    shown = on_a_terminal("tail", "us", "--once", cwd=cwd, **variables)
    assert "added" in shown
    assert ("\x1b[32m" in shown) is has_colours
    assert ("\x1b[" in shown) is has_colours


def on_a_terminal(*words: str, cwd: Path, **variables: str) -> str:
    """Run a command with a terminal as its standard output and return what it shows there."""
    terminal, theirs = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", CONSUMER, *words],
            cwd=cwd,
            env={"PATH": os.environ["PATH"], **variables},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            timeout=60,
            check=True,
        )
        return os.read(terminal, 10_000).decode()
    finally:
        os.close(theirs)
        os.close(terminal)


async def test_tail_into_a_pipe_that_ends(publisher: PretendPublisher, cwd: Path) -> None:
    """`tail … | head -1` ends quietly."""
    await publisher.commit(numbered(3000))
    for words in (["--json"], []):
        with started("tail", "us", "--lines", "3000", *words, cwd=cwd) as process:
            assert process.stdout is not None
            assert process.stdout.readline()
            process.stdout.close()
            assert process.stderr is not None
            assert process.stderr.read() == ""
            assert process.wait(timeout=20) == 0


async def test_a_disk_that_fills_up(publisher: PretendPublisher, to: str, cwd: Path) -> None:
    """A file that may not grow ends a mirror with 1 and one line; what was there stays."""
    await publisher.commit(tree(HOME))
    mirror = ["-m", CONSUMER, "mirror", "us", "--to", to, "--once"]
    assert call(CONSUMER, *mirror[2:], cwd=cwd).returncode == 0
    await publisher.commit(numbered(5_000))
    limited = ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", sys.executable, *mirror]
    done = subprocess.run(  # noqa: ASYNC221  nothing else is going on
        limited, cwd=cwd, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {to}: ")
    assert "Traceback" not in done.stderr
    check_fit(to)
    assert call(CONSUMER, *mirror[2:], cwd=cwd).returncode == 0
    await wait_until_equal(to, publisher)


async def test_a_file_that_may_not_be_written(
    publisher: PretendPublisher, to: str, cwd: Path
) -> None:
    """A database that is open for reading only is refused in one line."""
    await publisher.commit(tree(HOME))
    execute(to, "CREATE TABLE other (id INTEGER)")
    url = f"{to.replace('///', '///file:')}?mode=ro&uri=true"
    done = call(CONSUMER, "mirror", "us", "--to", url, "--once", cwd=cwd)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "may this user write to the file and its folder?" in done.stderr
    assert done.stderr.count("\n") == 1


async def test_two_mirrors_of_one_copy(publisher: PretendPublisher, to: str, cwd: Path) -> None:
    """One of two processes ends with 1 and says why, the other keeps the copy right."""
    await publisher.commit(tree(HOME))
    words = ("mirror", "us", "--to", to)
    assert call(CONSUMER, *words, "--once", "--name", "c", cwd=cwd).returncode == 0
    with started(*words, cwd=cwd) as first, started(*words, "--name", "b", cwd=cwd) as second:
        await eventually(lambda: consumers(publisher, 3))
        await publisher.commit(tree(HOME, GARDEN))

        async def one_ended() -> bool:
            return first.poll() is not None or second.poll() is not None

        await eventually(one_ended)
        await wait_until_equal(to, publisher)
        ended = first if first.poll() is not None else second
        assert ended.returncode == 1
        assert ended.stderr is not None
        assert "another consumer writes to this store's mirror" in ended.stderr.read()


async def consumers(publisher: PretendPublisher, count: int) -> bool:
    """Say whether so many consumers have shown their checkpoints."""
    return int(await publisher.client.hlen("catalog:{us}:consumers")) == count


def test_other_programs_can_read_it_with_plain_sql(folder: Path) -> None:
    """An empty database has the tables and the view of the contract."""
    done = call(CONSUMER, "mirror", "us", "--to", "sqlite:///copy.sqlite", "--once", cwd=folder)
    assert done.returncode == 1
    with closing(sqlite3.connect(folder / "copy.sqlite")) as file:
        columns = {
            name: [column[1] for column in file.execute(f"PRAGMA table_info({name})")]
            for name in ("categories", "checkpoints", "category_paths")
        }
    assert columns == {
        "categories": ["catalog", "id", "parent_id", "local_name", "is_leaf"],
        "checkpoints": [
            "projection",
            "catalog",
            "epoch",
            "sequence",
            "stream_offset",
            "digest",
            "updated_at",
        ],
        "category_paths": ["catalog", "id", "depth", "path"],
    }


def test_help_of_every_command(tmp_path: Path) -> None:
    """What the list says of a command is how its own help begins."""
    listed = " ".join(call(CONSUMER, "--help", cwd=tmp_path).stdout.split())
    for name, summary in COMMANDS.items():
        assert f"{name} {summary}" in listed
        explained = call(CONSUMER, name, "--help", cwd=tmp_path).stdout
        assert summary in " ".join(explained.split())
