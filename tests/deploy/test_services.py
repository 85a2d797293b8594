"""The commands and health checks of docker-compose.yml, run here as processes.

What the containers add (their network, the folder /data) is put in its place; all else is taken
from the file as it stands.
"""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from publisher.sandbox import Sandbox
from tests.deploy.files import final_stage, services
from tests.security.acl_server import PASSWORDS, server_with_users
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.processes import CONSUMER, PUBLISHER, call, start
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

MODULES = {"category-publisher": PUBLISHER, "category-consumer": CONSUMER}
STOP_SECONDS = 20.0


class Place:
    """Where they run: `folder` stands for the volumes, the others for Valkey and TikTok Shop."""

    def __init__(self, folder: Path, valkey: Valkey, sandbox: Sandbox) -> None:
        self._settings = {
            "CATEGORY_PUBLISHER_TIKTOK_SHOP__API_URL": sandbox.url,
            "CATEGORY_PUBLISHER_TIKTOK_SHOP__AUTH_URL": sandbox.url,
            "CATEGORY_PUBLISHER_DATA_DIR": str(folder),
        }
        self._secrets = secrets_of(sandbox)
        self._here = {
            "/data": str(folder),
            "valkey:6379": f"127.0.0.1:{valkey.port}",
            "0.0.0.0:": "127.0.0.1:",
            ":9464": f":{free_port()}",
        }

    def start(self, name: str) -> subprocess.Popen[str]:
        """Start a service's process."""
        service = services()[name]
        entrypoint = service.get("entrypoint", final_stage()["ENTRYPOINT"].words)
        words = self._moved([*entrypoint, *service["command"]])
        return start(MODULES[words[0]], *words[1:], cwd=ROOT / "deploy", **self._variables(service))

    async def health(self, name: str) -> int:
        """Return the exit code of a service's health check."""
        service = services()[name]
        words = self._moved(service["healthcheck"]["test"][1:])
        variables = self._variables(service)
        if words[0] == "python":
            program = [sys.executable, *words[1:]]
            process = await asyncio.create_subprocess_exec(*program, stderr=subprocess.DEVNULL)
            return await process.wait()
        done = await asyncio.to_thread(
            call, MODULES[words[0]], *words[1:], cwd=ROOT / "deploy", **variables
        )
        return done.returncode

    async def is_healthy(self, name: str) -> bool:
        """Tell whether the check says that all is well."""
        return await self.health(name) == 0

    def _moved(self, words: list[str]) -> list[str]:
        for there, here in self._here.items():
            words = [word.replace(there, here) for word in words]
        return words

    def _variables(self, service: dict[str, Any]) -> dict[str, str]:
        """Return what the service is handed on, with the values that stand in .env."""
        given = {
            name: re.sub(r"\$\{(\w+):\?.*?\}", lambda found: self._secrets[found[1]], value)
            if value
            else self._secrets.get(name)
            for name, value in service["environment"].items()
        }
        there = {name: value for name, value in given.items() if value is not None}
        return {**self._settings, **dict(zip(there, self._moved([*there.values()]), strict=True))}


@asynccontextmanager
async def running(process: subprocess.Popen[str]) -> AsyncIterator[subprocess.Popen[str]]:
    """Keep `process` for as long as the context lasts; a test that fails shows what it said."""
    try:
        yield process
    finally:
        process.kill()
        _, said = await asyncio.to_thread(process.communicate)
        sys.stderr.write(said)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as serving:
        yield serving


def secrets_of(sandbox: Sandbox) -> dict[str, str]:
    """Return what a user writes into .env."""
    shop = "CATEGORY_PUBLISHER_TIKTOK_SHOP__"
    return {
        f"{shop}APP_KEY": sandbox.app_key,
        f"{shop}APP_SECRET": sandbox.app_secret,
        f"{shop}ACCESS_TOKEN": sandbox.access_token,
        f"{shop}REFRESH_TOKEN": sandbox.refresh_token,
        "CATEGORY_PUBLISHER_CATALOGS__US__SHOP_CIPHER": sandbox.shop_cipher,
        **{f"{user.upper()}_PASSWORD": password for user, password in PASSWORDS.items()},
    }


async def test_the_services_work_together(folder: Path, sandbox: Sandbox) -> None:
    """A tree arrives in the copy; each check tells how it is; each service ends with 0."""
    (redis_folder := folder / "redis").mkdir()
    options = services()["valkey"]["command"][2:]
    async with AsyncExitStack() as stack:
        valkey = stack.enter_context(server_with_users(redis_folder, *options, tester=False))
        place = Place(folder, valkey, sandbox)
        assert await place.health("mirror") == 2
        started = [
            await stack.enter_async_context(running(place.start(name)))
            for name in ("publisher", "mirror")
        ]
        await eventually(lambda: place.is_healthy("mirror"), within=60)
        assert await place.health("publisher") == 0
        valkey.kill()
        assert await place.health("publisher") == 0
        assert await place.health("mirror") == 2
        for process in started:
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, STOP_SECONDS) == 0
        assert await place.health("publisher") == 1
