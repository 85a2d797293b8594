"""`category-publisher approve`, and how `sync`, `diff` and `status` lead to it."""

import json
from pathlib import Path

import pytest
import redis

from tests.support.processes import PUBLISHER, call
from tests.support.trees import body, wide


@pytest.mark.contract("6")
def test_hold_diff_approve(workdir: Path, keys: redis.Redis) -> None:
    """Exit code 3 while a snapshot is held; approve publishes exactly that one."""
    (workdir / "us.json").write_bytes(body(wide(100)))
    call(PUBLISHER, "sync", "us", cwd=workdir)
    (workdir / "us.json").write_bytes(body(wide(50)))
    assert call(PUBLISHER, "diff", "us", cwd=workdir).returncode == 3
    assert keys.get("catalog:{us}:hold") is None
    held = call(PUBLISHER, "sync", "us", cwd=workdir)
    assert held.returncode == 3
    shown = json.loads(call(PUBLISHER, "status", "--json", cwd=workdir).stdout)
    digest = next(each["hold"]["digest"] for each in shown["catalogs"] if each["catalog"] == "us")
    assert f"approve us {digest}" in held.stdout
    assert f"approve us {digest}" in call(PUBLISHER, "status", cwd=workdir).stdout
    other = call(PUBLISHER, "approve", "us", "0" * 16, cwd=workdir)
    assert other.returncode == 3
    assert digest in other.stderr
    assert keys.hget("catalog:{us}:meta", "count") == "100"
    approved = call(PUBLISHER, "approve", "us", digest, cwd=workdir)
    assert approved.returncode == 0
    assert approved.stdout == "us: approved: 0 added, 0 updated, 50 removed (sequence 150)\n"
    assert keys.hget("catalog:{us}:meta", "count") == "50"
    assert call(PUBLISHER, "approve", "us", digest, cwd=workdir).returncode == 1
    for wrong in ("short", f"{digest}0", digest.upper() if digest.upper() != digest else "X" * 16):
        done = call(PUBLISHER, "approve", "us", wrong, cwd=workdir)
        assert done.returncode == 2
        expected = f"digest {wrong!r} is not 16 lower-case hex digits, as `status` shows"
        assert done.stderr == f"error: {expected}\n"
