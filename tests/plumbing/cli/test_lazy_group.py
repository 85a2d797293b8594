"""A command imports only what it needs: importing is most of its time."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import environment
from tests.support.trees import body, wide
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE

OTHERS_MODULES = {
    "cryptography.fernet",
    "filelock",
    "prometheus_client",
    "rich",
    "structlog",
    "aiohttp.web",
}
OTHERS_MODULES |= {
    "plumbing.redis.cluster",
    "plumbing.redis.embedded",
    "plumbing.redis.sentinel",
    "publisher.web",
}
LIBRARIES = {"aiohttp", "asyncio", "pydantic", "redis"}
PRINT_MODULES = """
import sys
from publisher.cli import main
try:
    main()
finally:
    print(*sys.modules)
"""


@pytest.mark.parametrize(
    ("words", "forbidden"),
    [
        (("sync",), OTHERS_MODULES | {"aiohttp"}),
        (("status", "--json"), OTHERS_MODULES - {"rich"} | {"aiohttp"}),
        (("--help",), OTHERS_MODULES | LIBRARIES),
    ],
)
def test_commands_import_only_their_own_needs(
    tmp_path: Path, valkey: Valkey, words: tuple[str, ...], forbidden: set[str]
) -> None:
    """No web, lock, table or log is imported for a command that needs none.

    The server is a running one, and the source a file.
    """
    (tmp_path / "us.json").write_bytes(body(wide(3)))
    (tmp_path / "publisher.toml").write_text('[catalogs.us]\nsource = "file"\nurl = "us.json"\n')
    done = subprocess.run(
        [sys.executable, "-c", PRINT_MODULES, *words],
        cwd=tmp_path,
        env=environment({"CATEGORY_PUBLISHER_REDIS_URL": valkey.url}),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    imported = set(done.stdout.splitlines()[-1].split())
    assert "publisher.cli" in imported
    assert imported & forbidden == set()
