"""All that our commands ask of Redis, run by the user that they belong to.

They run in this process, since some thirty new ones would take half a minute.
"""

import asyncio
import contextlib
import json
import re
import shlex
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet
from typer.testing import CliRunner

import consumers.cli
import publisher.cli
from plumbing.errors import Error
from publisher.core.model import Category
from publisher.sandbox import Sandbox, SandboxOptions
from publisher.sandbox.faults import Fault
from tests.security.acl_server import CommandMonitor, client_of, execute, url_of
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.processes import PUBLISHER, replace, start
from tests.support.trees import body, wide
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually_now

LARGE = wide(101)
SMALL = wide(10)
CHANGED = {**wide(100), "2": Category("2", "1", "renamed", False)}
"""One row removed and one renamed; SMALL after it is more than the guard lets through."""


class CommandRunner:
    """Runs commands for the catalogs `us`, from a file, and `shop`, from the sandbox."""

    def __init__(self, folder: Path, server: Valkey, sandbox: Sandbox) -> None:
        self.folder = folder
        self.server = server
        listen = f"127.0.0.1:{free_port()}"
        self.pages = f"http://{listen}"
        (folder / "publisher.toml").write_text(
            f'lease = "600ms"\nhttp_listen = "{listen}"\n'
            f'[catalogs.us]\nsource = "file"\nurl = "us.json"\npoll_every = "100ms"\n'
            '[catalogs.odd]\nsource = "file"\nurl = "us.json"\n'
            '[catalogs.shop]\nsource = "tiktok_shop"\n'
            'category_version = "v2"\n'
            f'shop_cipher = "{sandbox.options.shops[0].cipher}"\n'
            f'[tiktok_shop]\napi_url = "{sandbox.url}"\nauth_url = "{sandbox.url}"\n'
        )
        shop = "CATEGORY_PUBLISHER_TIKTOK_SHOP__"
        self.variables = {
            f"{shop}APP_KEY": sandbox.options.app_key,
            f"{shop}APP_SECRET": sandbox.options.app_secret,
            f"{shop}TOKEN_KEY": Fernet.generate_key().decode(),
            "CATEGORY_PUBLISHER_TO": f"sqlite:///{folder / 'copy.sqlite'}",
        }
        self.write_tree(LARGE)

    def write_tree(self, tree: dict[str, Category]) -> None:
        """Write `tree` into the source's file."""
        replace(self.folder / "us.json", body(tree))

    def publish(self, user: str, *arguments: str) -> tuple[int, str]:
        """Run `category-publisher` as `user`; return exit code and output."""
        return self._run(publisher.cli.app, user, *arguments)

    def consume(self, *arguments: str, user: str = "consumer") -> tuple[int, str]:
        """Run `category-consumer` as `user`; return exit code and output."""
        return self._run(consumers.cli.app, user, *arguments)

    def environment(self, user: str) -> dict[str, str]:
        """Return the environment variables of a process of `user`."""
        return {**self.variables, "CATEGORY_PUBLISHER_REDIS_URL": url_of(self.server, user)}

    def request(self, page: str) -> None:
        """Request a page of the daemon; its status does not matter here."""
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"{self.pages}/{page}", timeout=PATIENCE).close()  # noqa: S310  ours

    def _run(self, app: object, user: str, *arguments: str) -> tuple[int, str]:
        config = ["--config", str(self.folder / "publisher.toml")]
        done = CliRunner().invoke(app, [*arguments, *config], env=self.environment(user))  # type: ignore[arg-type]
        if isinstance(done.exception, Error):
            return done.exception.exit_code, f"{done.output}{done.exception}"
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output


def prepare_catalogs(runner: CommandRunner) -> None:
    """Publish a tree, let a consumer copy it, and give a key of `odd` a wrong type."""
    assert runner.publish("publisher", "sync", "us")[0] == 0
    assert runner.consume("mirror", "us", "--once")[0] == 0
    with client_of(runner.server) as tester:
        tester.set("catalog:{odd}:meta", "no hash")


def run_publisher_commands(user: str, runner: CommandRunner) -> None:
    """Change, hold, withdraw, approve, repair, export, show; and one failure."""
    runner.write_tree(CHANGED)
    assert runner.publish(user, "diff", "us")[0] == 0
    runner.write_tree(SMALL)
    assert runner.publish(user, "sync", "us")[0] == 3
    runner.write_tree(CHANGED)
    assert runner.publish(user, "sync", "us")[0] == 0
    runner.write_tree(SMALL)
    assert runner.publish(user, "sync", "us")[0] == 3
    assert runner.publish(user, "approve", "us", _held_digest(runner, user))[0] == 0
    with client_of(runner.server, "operator") as operator:
        execute(operator, "HSET", "catalog:{us}:meta", "digest", "not this")
    assert runner.publish(user, "sync", "us")[0] == 0
    assert runner.publish(user, "export", "us")[0] == 0
    assert "holds a string" in runner.publish(user, "sync", "odd")[1]
    assert runner.publish(user, "status")[0] == 1


def run_documented_commands(runner: CommandRunner) -> None:
    """Run as operator the redis-cli commands that docs/ gives an operator."""
    pages = "".join(file.read_text("utf-8") for file in sorted((ROOT / "docs").glob("*.md")))
    commands = re.findall(r"(?:redis|valkey)-cli --user operator ([^`\n]+)", pages)
    assert len(commands) >= 7
    with client_of(runner.server, "operator") as operator:
        for line in commands:
            execute(operator, *shlex.split(line.removeprefix("-e ").replace("CATALOG", "us")))


def run_token_commands(user: str, runner: CommandRunner, sandbox: Sandbox) -> None:
    """Authorize with the tokens in Redis, poll, and refresh them."""
    assert runner.publish(user, "authorize", sandbox.options.auth_code)[0] == 0
    assert runner.publish(user, "sync", "shop")[0] == 0
    sandbox.api.faults = [Fault.parse("code=105002@2")]
    assert runner.publish(user, "sync", "shop")[0] == 0


def run_daemon(user: str, runner: CommandRunner, monitor: CommandMonitor) -> None:
    """Run the daemon until it has renewed its leases, request its pages, and stop it."""
    daemon = start(PUBLISHER, "run", cwd=runner.folder, **runner.environment(user))
    try:
        eventually_now(lambda: monitor.has_seen("pexpire") or daemon.poll() is not None)
        for page in ("healthz", "readyz", "metrics", ""):
            runner.request(page)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(PATIENCE) == 0
    finally:
        daemon.kill()
        daemon.communicate()


def run_consumer_commands(runner: CommandRunner) -> None:
    """Run each kind of consumer, verify, repair; and one for a missing catalog."""
    for arguments in (
        ("tail", "us", "--once", "--since", "1"),
        ("mirror", "us", "--once"),
        ("history", "us", "--once"),
        ("map", "watch", "us", "--once"),
        ("map", "suggest", "us"),
        ("verify", "us", "--projection", "mirror", "--repair"),
    ):
        code, output = runner.consume(*arguments)
        assert code == 0, output
    assert runner.consume("mirror", "nowhere", "--once")[0] == 1


def _held_digest(runner: CommandRunner, user: str) -> str:
    _, output = runner.publish(user, "status", "--json")
    (us,) = (each for each in json.loads(output)["catalogs"] if each["catalog"] == "us")
    return str(us["hold"]["digest"])


@contextmanager
def run_sandbox() -> Iterator[Sandbox]:
    """Run a sandbox in a thread, since our commands start event loops of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    sandbox = Sandbox(SandboxOptions(categories=50, advance="command"))
    try:
        asyncio.run_coroutine_threadsafe(sandbox.__aenter__(), loop).result(PATIENCE)
        yield sandbox
    finally:
        asyncio.run_coroutine_threadsafe(sandbox.__aexit__(None, None, None), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
