"""`category-publisher diff`."""

import json
from pathlib import Path

import pytest
import redis

from tests.support.processes import PUBLISHER, call


@pytest.mark.contract("7")
def test_it_shows_changes_and_writes_no_key(workdir: Path, keys: redis.Redis) -> None:
    """Names are escaped, and Redis stays empty."""
    done = call(PUBLISHER, "diff", "us", cwd=workdir)
    assert done.returncode == 0
    assert "+ 2          Käse & <b>\\n" in done.stdout
    assert keys.keys("*") == []
    lines = call(PUBLISHER, "diff", "us", "--json", cwd=workdir).stdout.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["category.added", "category.added"]
