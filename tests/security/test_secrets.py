"""No secret is shown: every failure that involves one, through the real commands.

Each secret has the word HUSH in it. The tests search for it in all that a command prints, logs at
level debug and writes into Redis, and for the daemon also on its pages and in the process list. A
new way to fail is one more row of CASES. The fake shop quotes all that it was sent, as a real one
may do.
"""

import asyncio
import base64
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import psutil
import pytest
from aiohttp import web

from tests.publisher.sources.fake_shop import (
    CATEGORIES,
    GET_TOKEN,
    REFRESH,
    Answer,
    FakeShop,
    envelope,
    pair_data,
)
from tests.security.acl_server import client_of, server_with_users, url_of
from tests.support.ports import free_port
from tests.support.processes import CONSUMER, PUBLISHER, call, environment
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE, eventually

HUSH = "hush"
"""Part of every secret of this module, and of the passwords in tests.security.acl_server."""
SHOP = "CATEGORY_PUBLISHER_TIKTOK_SHOP__"
SHOP_US = '[catalogs.us]\nsource = "tiktok_shop"\nshop_cipher = "c"\n'
TOKENS = {f"{SHOP}ACCESS_TOKEN": "hush-access", f"{SHOP}REFRESH_TOKEN": "hush-refresh"}
SYNC = ("sync", "us")
PAGES = ("/", "/healthz", "/readyz", "/metrics")
MIRROR = ("mirror", "us", "--once")


class Case(NamedTuple):
    """One way to fail; `message` is a part of its error message."""

    message: str
    arguments: tuple[str, ...] = SYNC
    toml: str = SHOP_US
    variables: Mapping[str, str] = MappingProxyType({})
    answers: Mapping[str, list[Answer]] = MappingProxyType({})
    given: str = ""

    @property
    def module(self) -> str:
        """The module whose command it is."""
        return CONSUMER if self.arguments[0] in {"mirror", "verify", "history"} else PUBLISHER


def quoting(code: int, status: int = 200) -> Answer:
    """Return an answer with the error `code` that quotes the request."""

    async def answer(request: web.Request) -> web.StreamResponse:
        quote = f"no: {request.url} {dict(request.headers)}"
        body = {"code": code, "message": quote, "request_id": "r-1", "data": None}
        return web.json_response(body, status=status)

    return answer


EXPIRED = quoting(105002)
HTTP_US = '[catalogs.us]\nsource = "http"\nurl = "http://me:hush-url@{shop}{path}?key=hush-query"\n'
CASES = {
    "wrong app secret": Case("bad signature", answers={CATEGORIES: [quoting(106001)]}),
    "an unknown code": Case("not in our list", answers={CATEGORIES: [quoting(777)]}),
    "expired, refresh token expired": Case(
        "authorize", answers={CATEGORIES: [EXPIRED], REFRESH: [quoting(36004001)]}
    ),
    "expired, refresh rejected for another reason": Case(
        "inactive", answers={CATEGORIES: [EXPIRED], REFRESH: [quoting(36009044)]}
    ),
    "expired, refresh without tokens": Case(
        "token answer",
        answers={
            CATEGORIES: [EXPIRED],
            REFRESH: [envelope(data={**pair_data(1), "access_token": "hush two words"})],
        },
    ),
    "expired, no refresh token": Case(
        "no refresh token",
        variables={f"{SHOP}REFRESH_TOKEN": ""},
        answers={CATEGORIES: [EXPIRED]},
    ),
    "rejected again with the new token": Case(
        "expired",
        answers={
            CATEGORIES: [EXPIRED],
            REFRESH: [
                envelope(data={**pair_data(1), "access_token": "hush-2", "refresh_token": "hush-3"})
            ],
        },
    ),
    "tokens in redis, refresh rejected": Case(
        "authorize",
        variables={f"{SHOP}TOKEN_KEY": base64.urlsafe_b64encode(b"hush" * 8).decode()},
        answers={CATEGORIES: [EXPIRED], REFRESH: [quoting(36004005)]},
    ),
    "an invalid token_key": Case("Fernet", variables={f"{SHOP}TOKEN_KEY": "hush-key"}),
    "an invalid token": Case("one word", variables={f"{SHOP}ACCESS_TOKEN": "hush two words"}),
    "wrong authorization code": Case(
        "authorization code",
        ("authorize",),
        given="hush-code\n",
        answers={GET_TOKEN: [quoting(36004004)]},
    ),
    "a token command that fails": Case(
        "exit code 3",
        toml=SHOP_US
        + "access_token_command = \"sh -c 'echo hush-out; echo hush-err >&2; exit 3'\"\n",
    ),
    "a token command that prints no token": Case(
        "returned no token",
        toml=SHOP_US + "access_token_command = \"sh -c 'echo hush and more'\"\n",
    ),
    "an address with a password, rejected": Case(
        "access refused", toml=HTTP_US, answers={"/x": [quoting(1, 401)]}
    ),
    "an address with a password, no tree": Case(
        "code 1", toml=HTTP_US, answers={"/x": [quoting(1)]}
    ),
    "an address with a password, nobody there": Case(
        "127.0.0.1:1", toml=HTTP_US.replace("{shop}", "127.0.0.1:1")
    ),
    "wrong redis password": Case(
        "user name and password",
        variables={"CATEGORY_PUBLISHER_REDIS_URL": "redis://publisher:hush-wrong@{redis}/0"},
    ),
    "redis is unreachable": Case(
        "redis://127.0.0.1:1",
        variables={"CATEGORY_PUBLISHER_REDIS_URL": "redis://publisher:hush-away@127.0.0.1:1/0"},
    ),
    "an invalid redis address": Case(
        "not a Redis address",
        variables={"CATEGORY_PUBLISHER_REDIS_URL": "redis://publisher:hush-x@127.0.0.1:port/0"},
    ),
    "a wrong password of a cluster": Case(
        "user name and password",
        variables={"CATEGORY_PUBLISHER_REDIS_URL": "redis-cluster://publisher:hush-wrong@{redis}"},
    ),
    "an unreachable cluster": Case(
        "redis-cluster://127.0.0.1:1",
        variables={"CATEGORY_PUBLISHER_REDIS_URL": "redis-cluster://me:hush-away@127.0.0.1:1"},
    ),
    "a cluster with a database number": Case(
        "only database 0",
        variables={"CATEGORY_PUBLISHER_REDIS_URL": "redis-cluster://me:hush-x@127.0.0.1:1/3"},
    ),
    "unreachable sentinels": Case(
        "redis-sentinel://127.0.0.1:1",
        variables={
            "CATEGORY_PUBLISHER_REDIS_URL": "redis-sentinel://me:hush-away@127.0.0.1:1/0"
            "?master=m&sentinel_username=s&sentinel_password=hush-sentinel"
        },
    ),
    "a wrong password of a sentinel": Case(
        "redis-sentinel://",
        variables={
            "CATEGORY_PUBLISHER_REDIS_URL": "redis-sentinel://me:hush-away@{redis}/0"
            "?master=m&sentinel_username=s&sentinel_password=hush-sentinel"
        },
    ),
    "a sentinel's address without a master": Case(
        "name of their primary",
        variables={
            "CATEGORY_PUBLISHER_REDIS_URL": "redis-sentinel://me:hush-x@127.0.0.1:1/0"
            "?sentinel_password=hush-sentinel"
        },
    ),
    "an unreachable database": Case(
        "127.0.0.1",
        MIRROR,
        variables={"CATEGORY_PUBLISHER_TO": "postgresql://me:hush-db@127.0.0.1:1/x"},
    ),
    "an invalid database address": Case(
        "", MIRROR, variables={"CATEGORY_PUBLISHER_TO": "postgresql://me:hush-db@127.0.0.1:port/x"}
    ),
    "an unknown kind of database": Case(
        "", MIRROR, variables={"CATEGORY_PUBLISHER_TO": "oracle://me:hush-db@127.0.0.1/x"}
    ),
    "nothing to compare with": Case(
        "",
        ("verify", "us"),
        variables={"CATEGORY_PUBLISHER_TO": "mysql://me:hush-db@127.0.0.1:1/x"},
    ),
    "a consumer with a wrong redis password": Case(
        "user name and password",
        MIRROR,
        variables={
            "CATEGORY_PUBLISHER_REDIS_URL": "redis://consumer:hush-wrong@{redis}/0",
            "CATEGORY_PUBLISHER_TO": "sqlite:///copy.sqlite",
        },
    ),
}
SLOW = {"an address with a password, nobody there"}
"""Retried for a quarter of a minute."""


@pytest.fixture
async def shop() -> AsyncIterator[FakeShop]:
    async with FakeShop() as serving:
        yield serving


class Trial:
    """Runs a case with a folder, a server and a shop, and collects all output."""

    def __init__(self, folder: Path, server: Valkey, shop: FakeShop) -> None:
        self.folder = folder
        self.server = server
        self.shop = shop
        self._values = {
            "{shop}": shop.url.removeprefix("http://"),
            "{redis}": f"127.0.0.1:{server.port}",
            "{path}": "/x",
        }
        self.listen = f"127.0.0.1:{free_port()}"

    async def run(self, case: Case) -> str:
        """Run the case's command to its end; return exit code and output."""
        self.prepare(case)
        done = await asyncio.to_thread(
            call,
            case.module,
            *case.arguments,
            cwd=self.folder,
            given=case.given,
            **self.variables(case),
        )
        assert "Traceback" not in done.stderr
        return f"exit code {done.returncode}\n{done.stdout}{done.stderr}"

    def prepare(self, case: Case) -> None:
        """Write the configuration, and give the shop the case's answers."""
        self.shop.answers.update(case.answers)
        file = self.folder / "publisher.toml"
        file.write_text(
            f'http_listen = "{self.listen}"\nlog_level = "debug"\n{self._fill(case.toml)}'
            f'[tiktok_shop]\napi_url = "{self.shop.url}"\nauth_url = "{self.shop.url}"\n'
        )
        file.chmod(0o600)

    def redis_content(self) -> str:
        """Return everything that is stored in Redis."""
        with client_of(self.server) as tester:
            names: Any = tester.keys("*")
            values = [tester.dump(name) for name in names]
            texts = [tester.hgetall(name) for name in names if tester.type(name) == b"hash"]
        return f"{names}{values}{texts}"

    def variables(self, case: Case) -> dict[str, str]:
        """Return the environment variables, secrets included."""
        user = "publisher" if case.module == PUBLISHER else "consumer"
        own = TOKENS if "access_token" not in case.toml else {}
        given = {
            "CATEGORY_PUBLISHER_REDIS_URL": url_of(self.server, user),
            f"{SHOP}APP_KEY": "key",
            f"{SHOP}APP_SECRET": "hush-app",
            **own,
            **case.variables,
        }
        return {name: self._fill(value) for name, value in given.items() if value}

    def _fill(self, text: str) -> str:
        for placeholder, value in self._values.items():
            text = text.replace(placeholder, value)
        return text


@pytest.fixture
async def trial(folder: Path, shop: FakeShop) -> AsyncIterator[Trial]:
    (redis_folder := folder / "r").mkdir()
    with server_with_users(redis_folder) as server:
        yield Trial(folder, server, shop)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in CASES],
)
@pytest.mark.contract("7")
async def test_a_failure_shows_no_secret(name: str, trial: Trial) -> None:
    """The command fails with its reason; no secret appears anywhere."""
    case = CASES[name]
    output = await trial.run(case)
    assert "exit code 0" not in output
    assert case.message in output
    assert HUSH not in output
    assert HUSH not in trial.redis_content()


@pytest.mark.contract("7")
async def test_the_daemon_shows_no_secret(trial: Trial) -> None:
    """All polls fail; pages, log, process list and `status` show no secret."""
    case = Case(
        "",
        arguments=("run",),
        toml=SHOP_US + HTTP_US.replace(".us]", ".other]"),
        answers={CATEGORIES: [quoting(106001)], "/x": [quoting(1, 401)]},
    )
    trial.prepare(case)
    variables = trial.variables(case)
    daemon = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", PUBLISHER, *case.arguments),
        cwd=trial.folder,
        env=environment(variables),
        stderr=(log := (trial.folder / "log").open("w")),
    )
    log_file = trial.folder / "log"
    try:
        await eventually(lambda: failed_twice(log_file))
        command_lines = [each.cmdline() for each in process_family(daemon.pid)]
        pages = [await asyncio.to_thread(page, trial.listen, each) for each in PAGES]
    finally:
        daemon.terminate()
        async with asyncio.timeout(PATIENCE):
            await daemon.wait()
        log.close()
    status = await asyncio.to_thread(
        call, PUBLISHER, "status", "--json", cwd=trial.folder, **variables
    )
    assert "bad signature" in status.stdout
    assert "access refused" in status.stdout
    assert (
        HUSH
        not in f"{command_lines}{pages}{status.stdout}{status.stderr}{log_file.read_text()}{trial.redis_content()}"
    )


def process_family(process: int) -> list[psutil.Process]:
    """Return a process and its children."""
    parent = psutil.Process(process)
    return [parent, *parent.children(recursive=True)]


async def failed_twice(log: Path) -> bool:
    """Return whether the polls of both catalogs failed."""
    return log.read_text().count("poll failed") == 2


def page(listen: str, path: str) -> str:
    """Return a page of the daemon with its headers, whatever its status is."""
    try:
        with urllib.request.urlopen(f"http://{listen}{path}", timeout=PATIENCE) as answer:
            return f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.headers}{error.read().decode()}"
