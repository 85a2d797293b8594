"""What a command imports: most of the time that it takes is that."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import TIMEOUT, environment
from tests.support.trees import body, wide
from tests.support.valkey import Valkey

OF_OTHERS = {
    "cryptography.fernet",
    "filelock",
    "prometheus_client",
    "rich",
    "structlog",
    "aiohttp.web",
}
OF_OTHERS |= {
    "plumbing.redis.cluster",
    "plumbing.redis.embedded",
    "plumbing.redis.sentinel",
    "publisher.web",
}
LIBRARIES = {"aiohttp", "asyncio", "pydantic", "redis"}
IMPORTED = """
import sys
from publisher.cli import main
try:
    main()
finally:
    print(*sys.modules)
"""


@pytest.mark.parametrize(
    ("words", "needless"),
    [
        (("sync",), OF_OTHERS | {"aiohttp"}),
        (("status", "--json"), OF_OTHERS - {"rich"} | {"aiohttp"}),
        (("--help",), OF_OTHERS | LIBRARIES),
    ],
)
def test_no_command_imports_what_others_need(
    tmp_path: Path, valkey: Valkey, words: tuple[str, ...], needless: set[str]
) -> None:
    """One server that is up, and a file as the source: no web, no locks, no tables, no log."""
    (tmp_path / "us.json").write_bytes(body(wide(3)))
    (tmp_path / "publisher.toml").write_text('[catalogs.us]\nsource = "file"\nurl = "us.json"\n')
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *words],
        cwd=tmp_path,
        env=environment({"CATEGORY_PUBLISHER_REDIS_URL": valkey.url}),
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )
    imported = set(done.stdout.splitlines()[-1].split())
    assert "publisher.cli" in imported
    assert imported & needless == set()
