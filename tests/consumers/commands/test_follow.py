"""Projections as processes: exit codes, signals, and SIGKILL at any moment."""

import random
import signal
from pathlib import Path

import orjson
import pytest

from consumers.cli import app
from plumbing.errors import ConfigError
from tests.consumers.commands.consumer_process import check_fit, started
from tests.consumers.mirrors import (
    stored_position,
    wait_until_equal,
)
from tests.consumers.pretend_publisher import PretendPublisher, numbered, row, tree
from tests.support.databases import fetch
from tests.support.processes import CONSUMER, call
from tests.support.waiting import PATIENCE, eventually

HOME, GARDEN = row("1", "Home"), row("2", "Garden", "1")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_stop_signal_is_a_success(
    publisher: PretendPublisher, to: str, cwd: Path, number: signal.Signals
) -> None:
    """A mirror follows until a stop signal ends it.

    It ends with exit code 0 and without output.
    """
    await publisher.commit(tree(HOME))
    with started("mirror", "us", "--name", "mine", cwd=cwd, CATEGORY_PUBLISHER_TO=to) as process:
        await wait_until_equal(to, publisher)
        await publisher.commit(tree(HOME, GARDEN))
        await wait_until_equal(to, publisher)
        process.send_signal(number)
        _, printed = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    assert [orjson.loads(line)["event"] for line in printed.splitlines()] == ["started", "resynced"]
    assert await publisher.client.hexists("catalog:{us}:consumers", "mine")


@pytest.mark.parametrize("command", ["history", "map watch"])
async def test_it_follows_until_stopped(
    publisher: PretendPublisher, to: str, cwd: Path, command: str
) -> None:
    """Without --once it goes on with what is committed later; a stop is a success."""

    async def has_followed() -> bool:
        stored = await publisher.client.hget("catalog:{us}:consumers", command.split(maxsplit=1)[0])
        return stored is not None and orjson.loads(stored)["sequence"] == publisher.sequence

    await publisher.commit(tree(HOME))
    words = (*command.split(), "us", "--to", to)
    with started(*words, cwd=cwd) as process:
        await eventually(has_followed)
        await publisher.commit(tree(HOME, GARDEN))
        await eventually(has_followed)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0


@pytest.mark.contract("5.8")
@pytest.mark.slow
async def test_sigkill_at_any_moment(publisher: PretendPublisher, to: str, cwd: Path) -> None:
    """After each kill data and checkpoint fit, and in the end the copy is complete.

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
                await eventually(lambda: has_moved(to, goal))  # noqa: B023
            process.kill()
        check_fit(to)
    assert call(CONSUMER, "mirror", "us", "--to", to, "--once", cwd=cwd).returncode == 0
    await wait_until_equal(to, publisher)


async def has_moved(to: str, before: str | None) -> bool:
    """Return whether the copy is at another position than `before`."""
    return stored_position(to) not in {None, before}


async def test_a_missing_catalog(publisher: PretendPublisher, cwd: Path) -> None:
    """With --once it is an error in one line, and nothing is written."""
    await publisher.commit(tree(HOME))
    to = ("--to", "sqlite:///copy.sqlite")
    for command in (
        ["mirror", "uk", *to],
        ["history", "uk", *to],
        ["map", "watch", "uk", *to],
        ["tail", "uk"],
        ["tail", "uk", "--since", "1", "--json"],
    ):
        done = call(CONSUMER, *command, "--once", cwd=cwd)
        assert (done.returncode, done.stdout) == (1, "")
        last = done.stderr.splitlines()[-1]
        assert last == "error: catalog uk is not in Redis: has a publisher polled it yet?"
    copy = f"sqlite:///{cwd / 'copy.sqlite'}"
    query = "SELECT catalog FROM checkpoints UNION SELECT catalog FROM categories "
    query += "UNION SELECT catalog FROM category_history UNION SELECT catalog FROM map_categories"
    assert await fetch(copy, query) == []
    assert await publisher.client.keys("catalog:{uk}:*") == []


@pytest.mark.contract("7")
@pytest.mark.parametrize(
    "words",
    [
        ("mirror", "--once"),
        ("history", "--once"),
        ("history", "--as-of", "1"),
        ("map watch", "--once"),
        ("map review",),
        ("tail", "--once"),
        ("verify",),
    ],
    ids=str,
)
def test_a_wrong_name_or_configuration(to: str, folder: Path, words: tuple[str, ...]) -> None:
    """Each command rejects it before it opens or creates anything."""
    command, *options = words
    target = [] if command == "tail" else ["--to", to]
    for catalog, more, message in (
        ("US", [], "catalog 'US': a catalog's name"),
        ("us", ["--config", "nope.toml"], "nope.toml: no such file"),
    ):
        with pytest.raises(ConfigError, match=message):
            app([*command.split(), catalog, *target, *options, *more], standalone_mode=False)
    assert list(folder.iterdir()) == []


@pytest.mark.contract("5.8")
async def test_two_mirrors_of_one_copy(publisher: PretendPublisher, to: str, cwd: Path) -> None:
    """One of two processes ends with exit code 1; the other one follows on.

    The one that ends prints a reason.
    """
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
        assert "another consumer writes to this database's mirror" in ended.stderr.read()


async def consumers(publisher: PretendPublisher, count: int) -> bool:
    """Return whether so many consumers have published their checkpoints."""
    return int(await publisher.client.hlen("catalog:{us}:consumers")) == count
