"""All that our commands ask of Redis, run by the user whose work it is.

In this process, since some thirty new ones would take half a minute.
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
from tests.security.acl_server import Seen, client_of, send, url_of
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.processes import PUBLISHER, replace, start
from tests.support.trees import body, wide
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually_now

LARGE = wide(101)
SMALL = wide(10)
CHANGED = {**wide(100), "2": Category("2", "1", "renamed", False)}
"""One row removed, one with another name; with SMALL after it, more than the guard lets through."""


class Desk:
    """A folder with a configuration of catalogs `us`, from a file, and `shop`, from the sandbox."""

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
            f'shop_cipher = "{sandbox.shop_cipher}"\n'
            f'[tiktok_shop]\napi_url = "{sandbox.url}"\nauth_url = "{sandbox.url}"\n'
        )
        shop = "CATEGORY_PUBLISHER_TIKTOK_SHOP__"
        self.variables = {
            f"{shop}APP_KEY": sandbox.app_key,
            f"{shop}APP_SECRET": sandbox.app_secret,
            f"{shop}TOKEN_KEY": Fernet.generate_key().decode(),
            "CATEGORY_PUBLISHER_TO": f"sqlite:///{folder / 'copy.sqlite'}",
        }
        self.give(LARGE)

    def give(self, tree: dict[str, Category]) -> None:
        """Let the file hold another tree."""
        replace(self.folder / "us.json", body(tree))

    def publish(self, user: str, *words: str) -> tuple[int, str]:
        """Run `category-publisher` as a user; return exit code and output."""
        return self._run(publisher.cli.app, user, *words)

    def consume(self, *words: str, user: str = "consumer") -> tuple[int, str]:
        """Run `category-consumer` as a user; return exit code and output."""
        return self._run(consumers.cli.app, user, *words)

    def environment(self, user: str) -> dict[str, str]:
        """Return the variables of a user's process."""
        return {**self.variables, "CATEGORY_PUBLISHER_REDIS_URL": url_of(self.server, user)}

    def look(self, page: str) -> None:
        """Ask the daemon for a page; what it thinks of its health does not matter here."""
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"{self.pages}/{page}", timeout=PATIENCE).close()  # noqa: S310  ours

    def _run(self, app: object, user: str, *words: str) -> tuple[int, str]:
        own = ["--config", str(self.folder / "publisher.toml")]
        done = CliRunner().invoke(app, [*words, *own], env=self.environment(user))  # type: ignore[arg-type]
        if isinstance(done.exception, Error):
            return done.exception.exit_code, f"{done.output}{done.exception}"
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output


def prepare(desk: Desk) -> None:
    """Publish a tree, let a consumer take it, and put something else under another one's name."""
    assert desk.publish("publisher", "sync", "us")[0] == 0
    assert desk.consume("mirror", "us", "--once")[0] == 0
    with client_of(desk.server) as tester:
        tester.set("catalog:{odd}:meta", "no hash")


def publish_as(user: str, desk: Desk) -> None:
    """Change, withhold, take back, approve, repair, look, export; and what goes wrong."""
    desk.give(CHANGED)
    assert desk.publish(user, "diff", "us")[0] == 0
    desk.give(SMALL)
    assert desk.publish(user, "sync", "us")[0] == 3
    desk.give(CHANGED)
    assert desk.publish(user, "sync", "us")[0] == 0
    desk.give(SMALL)
    assert desk.publish(user, "sync", "us")[0] == 3
    assert desk.publish(user, "approve", "us", _held(desk, user))[0] == 0
    with client_of(desk.server, "operator") as operator:
        send(operator, "HSET", "catalog:{us}:meta", "digest", "not this")
    assert desk.publish(user, "sync", "us")[0] == 0
    assert desk.publish(user, "export", "us")[0] == 0
    assert "holds a string" in desk.publish(user, "sync", "odd")[1]
    assert desk.publish(user, "status")[0] == 1


def look_after(desk: Desk) -> None:
    """Say to Redis what our pages have an operator say, as that user."""
    pages = "".join(file.read_text("utf-8") for file in sorted((ROOT / "docs").glob("*.md")))
    found = re.findall(r"(?:redis|valkey)-cli --user operator ([^`\n]+)", pages)
    assert len(found) >= 7
    with client_of(desk.server, "operator") as operator:
        for line in found:
            send(operator, *shlex.split(line.removeprefix("-e ").replace("CATALOG", "us")))


def sell_as(user: str, desk: Desk, sandbox: Sandbox) -> None:
    """Authorize, with the tokens in Redis, poll, and refresh them."""
    assert desk.publish(user, "authorize", sandbox.auth_code)[0] == 0
    assert desk.publish(user, "sync", "shop")[0] == 0
    sandbox.faults = [Fault.parse("code=105002@2")]
    assert desk.publish(user, "sync", "shop")[0] == 0


def serve_as(user: str, desk: Desk, seen: Seen) -> None:
    """Run the daemon until it has renewed its leases, look at its pages, and stop it."""
    daemon = start(PUBLISHER, "run", cwd=desk.folder, **desk.environment(user))
    try:
        eventually_now(lambda: seen.has("pexpire") or daemon.poll() is not None)
        for page in ("healthz", "readyz", "metrics", ""):
            desk.look(page)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(PATIENCE) == 0
    finally:
        daemon.kill()
        daemon.communicate()


def consume_as(desk: Desk) -> None:
    """Follow, keep, ask, compare, mend; and a catalog that is not there."""
    for words in (
        ("tail", "us", "--once", "--since", "1"),
        ("mirror", "us", "--once"),
        ("history", "us", "--once"),
        ("map", "watch", "us", "--once"),
        ("map", "suggest", "us"),
        ("verify", "us", "--projection", "mirror", "--repair"),
    ):
        code, told = desk.consume(*words)
        assert code == 0, told
    assert desk.consume("mirror", "nowhere", "--once")[0] == 1


def _held(desk: Desk, user: str) -> str:
    _, shown = desk.publish(user, "status", "--json")
    (us,) = (each for each in json.loads(shown)["catalogs"] if each["catalog"] == "us")
    return str(us["hold"]["digest"])


@contextmanager
def selling() -> Iterator[Sandbox]:
    """Run a sandbox in a thread, since our commands bring an event loop of their own."""
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
