"""`category-publisher sandbox` as a process of its own."""

import asyncio
import os
import signal
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import pytest

from plumbing.config.load import load
from plumbing.config.shops import tiktok_shop_of
from publisher.sandbox import Sandbox, SandboxOptions
from publisher.sandbox.signature import expected_signature
from tests.publisher.sandbox.caller import CATEGORIES
from tests.support.paths import ROOT
from tests.support.processes import PUBLISHER, call
from tests.support.waiting import PATIENCE

COMMAND = (sys.executable, "-c", "from publisher.cli import main; main()", "sandbox")


@asynccontextmanager
async def start_sandbox(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def run_to_end(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    """Run the command to its end; return its exit code, stdout and stderr."""
    done = call(PUBLISHER, "sandbox", *arguments, cwd=cwd, COLUMNS="200", NO_COLOR="1")
    return done.returncode, done.stdout, done.stderr


async def introduction(process: asyncio.subprocess.Process) -> str:
    """Return the introduction that it prints, up to the last line."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        return (await process.stdout.readuntil(b"/sandbox/next\n")).decode()


def to_paste(text: str) -> tuple[str, dict[str, str]]:
    """Return the TOML and the exports of the introduction."""
    toml = text[text.index("[catalogs.us]") : text.index("and this into the shell")]
    lines = [line for line in text.splitlines() if line.startswith("export ")]
    pairs = [line.removeprefix("export ").split("=", 1) for line in lines]
    return toml, {key: value.strip("'") for key, value in pairs}


async def fetch_categories(
    url: str, query: dict[str, str], token: str, secret: str
) -> list[dict[str, object]]:
    """Ask the sandbox at `url` for its categories."""
    signed = {**query, "timestamp": str(int(time.time()))}
    signed["sign"] = expected_signature(secret, CATEGORIES, signed)
    headers = {"x-tts-access-token": token, "content-type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(url + CATEGORIES, params=signed, headers=headers) as answer,
    ):
        data = orjson.loads(await answer.read())["data"]
        return list(data["categories"])


async def test_it_prints_a_working_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pasted into a file and a shell, it works; Ctrl-C stops it with code 0."""
    async with start_sandbox("--port", "0", "--categories", "100") as process:
        toml, exports = to_paste(await introduction(process))
        file = tmp_path / "publisher.toml"
        file.write_text(toml)
        assert len(exports) == 4
        for name, value in exports.items():
            monkeypatch.setenv(name, value)
        settings = load(file)
        shop, catalog = tiktok_shop_of(settings, "us"), settings.catalog("us")
        assert shop.app_secret is not None
        assert shop.access_token is not None
        query = {
            "app_key": str(shop.app_key),
            "category_version": str(catalog.category_version),
            "locale": str(catalog.locale),
            "shop_cipher": str(catalog.shop_cipher),
        }
        token, secret = shop.access_token, shop.app_secret
        rows = await fetch_categories(
            shop.api_url, query, token.get_secret_value(), secret.get_secret_value()
        )
        assert len(rows) == 100
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        assert (process.returncode, out, err) == (0, b"", b"")


@pytest.mark.parametrize("arguments", [("--tree", "{}", "{}"), ("--tree", "{}", "--tree", "{}")])
async def test_trees_are_served_in_order(tmp_path: Path, arguments: Sequence[str]) -> None:
    """`--tree a b` (a shell expands *) and `--tree a --tree b`; the last one for ever."""
    files = []
    for number in (1, 2):
        file = tmp_path / f"{number}.json"
        row = {"id": str(number), "parent_id": "0", "local_name": "A", "is_leaf": True}
        file.write_bytes(orjson.dumps([row] * number))
        files.append(str(file))
    given = iter(files)
    words = [next(given) if word == "{}" else word for word in arguments]
    public = SandboxOptions(categories=1)
    query = {
        "app_key": public.app_key,
        "category_version": "v2",
        "shop_cipher": public.shops[0].cipher,
    }
    async with start_sandbox("--port", "0", *words) as process:
        toml, _ = to_paste(await introduction(process))
        url = tomllib.loads(toml)["tiktok_shop"]["api_url"]
        sizes = [
            len(await fetch_categories(url, query, public.access_token, public.app_secret))
            for _ in range(3)
        ]
        assert sizes == [1, 2, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fault", "cuts"), "fault 'cuts': unknown kind (did you mean cut?)"),
        (("--tree", "nowhere.json"), "tree nowhere.json: no such file"),
        (("nowhere.json",), "write --tree once before all files"),
        (("--tree", "a", "--tree", "b", "c"), "write --tree once before all files"),
        (("--rate-limit", "0"), "rate_limit 0"),
    ],
)
def test_wrong_options_are_one_line_and_exit_2(
    tmp_path: Path, arguments: Sequence[str], message: str
) -> None:
    """The line says what is wrong; there is no traceback."""
    code, out, err = run_to_end(*arguments, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


async def test_a_port_in_use_is_one_line_and_exit_1(tmp_path: Path) -> None:
    """The line says what happened, and what to do."""
    async with Sandbox(SandboxOptions(categories=10)) as sandbox:
        code, out, err = run_to_end("--port", str(sandbox.port), cwd=tmp_path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"port {sandbox.port}: another program" in err


def test_its_help_explains_every_fault(tmp_path: Path) -> None:
    """The help lists all kinds."""
    code, out, _ = run_to_end("--help", cwd=tmp_path)
    assert code == 0
    for word in ("retry-after", "next-page", "--strict-refresh", "publisher.toml"):
        assert word in out
