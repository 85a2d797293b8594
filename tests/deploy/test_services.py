"""The commands and health checks of docker-compose.yml, run here as processes.

The containers' network and folder /data are replaced; everything else is taken from the file.
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
from tests.support.waiting import PATIENCE, eventually

MODULES = {"category-publisher": PUBLISHER, "category-consumer": CONSUMER}


class ServiceRunner:
    """Runs services with local replacements of volumes, Redis and TikTok Shop."""

    def __init__(self, folder: Path, valkey: Valkey, sandbox: Sandbox) -> None:
        self._settings = {
            "CATEGORY_PUBLISHER_TIKTOK_SHOP__API_URL": sandbox.url,
            "CATEGORY_PUBLISHER_TIKTOK_SHOP__AUTH_URL": sandbox.url,
            "CATEGORY_PUBLISHER_DATA_DIR": str(folder),
        }
        self._secrets = secrets_of(sandbox)
        self._replacements = {
            "/data": str(folder),
            "valkey:6379": f"127.0.0.1:{valkey.port}",
            "0.0.0.0:": "127.0.0.1:",
            ":9464": f":{free_port()}",
        }

    def start(self, name: str) -> subprocess.Popen[str]:
        """Start the process of service `name`."""
        service = services()[name]
        entrypoint = service.get("entrypoint", final_stage()["ENTRYPOINT"].arguments)
        arguments = self._replace([*entrypoint, *service["command"]])
        return start(
            MODULES[arguments[0]], *arguments[1:], cwd=ROOT / "deploy", **self._variables(service)
        )

    async def health(self, name: str) -> int:
        """Return the exit code of the health check of service `name`."""
        service = services()[name]
        arguments = self._replace(service["healthcheck"]["test"][1:])
        variables = self._variables(service)
        if arguments[0] == "python":
            program = [sys.executable, *arguments[1:]]
            process = await asyncio.create_subprocess_exec(*program, stderr=subprocess.DEVNULL)
            return await process.wait()
        done = await asyncio.to_thread(
            call, MODULES[arguments[0]], *arguments[1:], cwd=ROOT / "deploy", **variables
        )
        return done.returncode

    async def is_healthy(self, name: str) -> bool:
        """Return whether the health check succeeds."""
        return await self.health(name) == 0

    def _replace(self, arguments: list[str]) -> list[str]:
        for placeholder, value in self._replacements.items():
            arguments = [argument.replace(placeholder, value) for argument in arguments]
        return arguments

    def _variables(self, service: dict[str, Any]) -> dict[str, str]:
        """Return the variables of a service, with the values of .env."""
        given = {
            name: re.sub(r"\$\{(\w+):\?.*?\}", lambda found: self._secrets[found[1]], value)
            if value
            else self._secrets.get(name)
            for name, value in service["environment"].items()
        }
        there = {name: value for name, value in given.items() if value is not None}
        return {**self._settings, **dict(zip(there, self._replace([*there.values()]), strict=True))}


@asynccontextmanager
async def running(process: subprocess.Popen[str]) -> AsyncIterator[subprocess.Popen[str]]:
    """Kill `process` when the context ends; a test that fails shows its errors."""
    try:
        yield process
    finally:
        process.kill()
        _, errors = await asyncio.to_thread(process.communicate)
        sys.stderr.write(errors)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as serving:
        yield serving


def secrets_of(sandbox: Sandbox) -> dict[str, str]:
    """Return the variables that a user writes into .env."""
    shop = "CATEGORY_PUBLISHER_TIKTOK_SHOP__"
    return {
        f"{shop}APP_KEY": sandbox.options.app_key,
        f"{shop}APP_SECRET": sandbox.options.app_secret,
        f"{shop}ACCESS_TOKEN": sandbox.options.access_token,
        f"{shop}REFRESH_TOKEN": sandbox.options.refresh_token,
        "CATEGORY_PUBLISHER_CATALOGS__US__SHOP_CIPHER": sandbox.options.shops[0].cipher,
        **{f"{user.upper()}_PASSWORD": password for user, password in PASSWORDS.items()},
    }


@pytest.mark.slow
async def test_the_services_work_together(folder: Path, sandbox: Sandbox) -> None:
    """A tree arrives in the copy; health checks are right; services end with 0."""
    (redis_folder := folder / "redis").mkdir()
    options = services()["valkey"]["command"][2:]
    async with AsyncExitStack() as stack:
        valkey = stack.enter_context(server_with_users(redis_folder, *options, tester=False))
        runner = ServiceRunner(folder, valkey, sandbox)
        assert await runner.health("mirror") == 2
        started = [
            await stack.enter_async_context(running(runner.start(name)))
            for name in ("publisher", "mirror")
        ]
        await eventually(lambda: runner.is_healthy("mirror"))
        assert await runner.health("publisher") == 0
        valkey.kill()
        assert await runner.health("publisher") == 0
        assert await runner.health("mirror") == 2
        for process in started:
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, PATIENCE) == 0
        assert await runner.health("publisher") == 1
