"""Publishers killed while they publish: no gap, duplicate or partial write."""

import contextlib
import random
import subprocess
import threading
from pathlib import Path

import pytest
import redis.asyncio

from tests.support.processes import PUBLISHER, call, replace, start
from tests.support.raw_keys import check_consistent, read_keys, replay
from tests.support.trees import body, wide
from tests.support.valkey import Valkey

KILLS = 6


@pytest.mark.contract("5.1")
@pytest.mark.slow
@pytest.mark.parametrize("publishers", [1, 2])
async def test_killed_at_random(
    publishers: int, folder: Path, valkey: Valkey, real_client: redis.asyncio.Redis
) -> None:
    """After every kill the keys are consistent; the replayed stream is the state."""
    (folder / "publisher.toml").write_text(
        f'redis_url = "{valkey.url}"\n[catalogs.us]\nsource = "file"\nurl = "us.json"\n'
        'poll_every = "10ms"\nguard = { max_removed_share = 1.0, max_updated_share = 1.0 }\n'
    )
    for number in range(KILLS // publishers):
        replace(folder / "us.json", body(wide(400 + 37 * number)))
        processes = [start(PUBLISHER, "run", cwd=folder) for _ in range(publishers)]
        writer = threading.Timer(0.9, replace, [folder / "us.json", body(wide(401 + 37 * number))])
        writer.start()
        for process in processes:
            kill_after(process, random.uniform(0.5, 1.2))
        writer.join()
        found = await read_keys(real_client)
        if found.meta:
            check_consistent(found)
            assert replay({}, found.events) == found.rows
    assert call(PUBLISHER, "sync", cwd=folder).returncode == 0
    found = await read_keys(real_client)
    check_consistent(found)
    assert replay({}, found.events) == found.rows
    assert len({event["id"] for event in found.events}) == len(found.events)


def kill_after(process: subprocess.Popen[str], seconds: float) -> None:
    """Kill `process` after `seconds`. Raises AssertionError if it has ended before."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        raise AssertionError(process.communicate()[1])
    process.kill()
    process.communicate()
