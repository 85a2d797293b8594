"""The README's first steps: sandbox, authorize, sync; and no secret in any output."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.asyncio

from tests.support.processes import PUBLISHER, call, start
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE

SECRETS = ("sandbox-app-secret", "ROW_sandbox-access-token", "ROW_sandbox-refresh-token")
EXPORTS = {
    "CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_KEY": "sandboxappkey",
    "CATEGORY_PUBLISHER_TIKTOK_SHOP__APP_SECRET": "sandbox-app-secret",
}


class Shop:
    """A sandbox process, and a publisher's folder configured by its introduction."""

    def __init__(self, folder: Path, redis_url: str, *options: str) -> None:
        self.folder = folder
        self.process = start(PUBLISHER, "sandbox", "--port", "0", *options, cwd=folder)
        printed = self._introduction()
        toml = re.search(r"(\[catalogs\.us\].*?)\nand this", printed, re.DOTALL)
        code = re.search(r"good once:\n(\S+)", printed)
        assert toml
        assert code
        self.code = code[1]
        (folder / "publisher.toml").write_text(f'redis_url = "{redis_url}"\n{toml[1]}')

    def _introduction(self) -> str:
        assert self.process.stdout
        lines: list[str] = []
        while not lines or not lines[-1].startswith("Go on to the next tree"):
            lines.append(self.process.stdout.readline())
        return "".join(lines)

    def publisher(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run `category-publisher` as exported; check that it prints no secret."""
        done = call(PUBLISHER, *arguments, cwd=self.folder, given=given, **EXPORTS)
        for secret in SECRETS:
            assert secret not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def close(self) -> int:
        """End the sandbox and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


@pytest.fixture
def shop(folder: Path, valkey: Valkey, real_client: redis.asyncio.Redis) -> Iterator[Shop]:  # noqa: ARG001  empties it
    """Start a sandbox that rejects the second request for categories."""
    opened = Shop(folder, valkey.url, "--fault", "code=105005@2")
    yield opened
    assert opened.close() == 0


@pytest.mark.contract("7")
def test_sandbox_authorize_sync(shop: Shop) -> None:
    """A newcomer follows what the sandbox prints."""
    missing = shop.publisher("sync")
    assert missing.returncode == 1
    assert "category-publisher authorize" in missing.stderr
    authorized = shop.publisher("authorize", given=f"{shop.code}\n")
    assert authorized.returncode == 0, authorized.stderr
    assert 'shop_cipher = "SANDBOX_cipherOfTheSandboxShop"' in authorized.stdout
    tokens = shop.folder / "data" / "tiktok-shop-tokens.json"
    assert tokens.stat().st_mode & 0o777 == 0o600
    synced = shop.publisher("sync", "us")
    assert synced.returncode == 0, synced.stderr
    assert synced.stdout.startswith("us: ")
    rejected = shop.publisher("sync", "us")
    assert rejected.returncode == 1
    assert "scope" in rejected.stderr
    second = shop.publisher("authorize", shop.code)
    assert second.returncode == 1
    assert "authorization code" in second.stderr
