"""`category-consumer tail` as a process."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.consumers.commands.consumer_process import started
from tests.consumers.pretend_publisher import PretendPublisher, numbered, row, tree
from tests.support.processes import CONSUMER, call
from tests.support.waiting import PATIENCE

HOME, GARDEN, TOYS = row("1", "Home"), row("2", "Garden", "1"), row("3", "Toys")


@pytest.mark.contract("7")
async def test_tail(publisher: PretendPublisher, cwd: Path) -> None:
    """`tail` prints lines for people, JSON for programs, new events at once.

    Its exit code is 0 when it is stopped.
    """
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
        assert process.communicate(timeout=PATIENCE) == ("", "")
        assert process.returncode == 0


@pytest.mark.contract("7")
async def test_tail_since_and_types(publisher: PretendPublisher, cwd: Path) -> None:
    """Events of some types since a point in time; warnings on standard error."""
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


@pytest.mark.contract("7")
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
    """Lines have colours on a terminal, unless NO_COLOR is set."""
    await publisher.commit(tree(HOME))
    shown = on_a_terminal("tail", "us", "--once", cwd=cwd, **variables)
    assert "added" in shown
    assert ("\x1b[32m" in shown) is has_colours
    assert ("\x1b[" in shown) is has_colours


def on_a_terminal(*words: str, cwd: Path, **variables: str) -> str:
    """Run a command on a terminal, and return what it prints there.

    The terminal is the command's standard output.
    """
    terminal, theirs = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", CONSUMER, *words],
            cwd=cwd,
            env={"PATH": os.environ["PATH"], **variables},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            timeout=PATIENCE,
            check=True,
        )
        return os.read(terminal, 10_000).decode()
    finally:
        os.close(theirs)
        os.close(terminal)


@pytest.mark.contract("7")
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
            assert process.wait(timeout=PATIENCE) == 0
