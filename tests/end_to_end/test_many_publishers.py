"""Many catalogs and several publishers, one of which is killed every few seconds."""

import asyncio
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import redis.asyncio
from aiohttp import web

from tests.support.processes import environment
from tests.support.raw_keys import check_consistent, read_keys
from tests.support.trees import body, tree
from tests.support.valkey import Valkey
from tests.support.waiting import LOAD, eventually, patience

CATALOGS: Final = 1000
INTERVAL: Final = 20.0
"""Seconds between two polls of a catalog."""
LEASE: Final = 6.0
KILL_EVERY: Final = 5.0
DURATION: Final = 100.0
"""Seconds in which publishers are killed."""
CHANGES_EVERY: Final = 45.0
"""Seconds between two versions of a tree."""


class SourceCall(NamedTuple):
    """A request to the source."""

    catalog: int
    at: float


class ChangingTrees:
    """An HTTP source of many trees that change; it records each request."""

    def __init__(self) -> None:
        self.calls: list[SourceCall] = []
        self._start = time.monotonic()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer with the current tree of one catalog."""
        number = int(request.match_info["number"])
        self.calls.append(SourceCall(number, time.monotonic()))
        return web.Response(body=self._tree(number), content_type="application/json")

    def _tree(self, number: int) -> bytes:
        version = int((time.monotonic() - self._start + number) / CHANGES_EVERY)
        rows = [("1", "0", f"Home {version}", False), ("2", "1", "Cups", True)]
        new = (str(100 + version), "1", "New", True)
        return body(tree(*rows, new))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Serve on a free port of loopback; yield the URL."""
        app = web.Application()
        app.router.add_get("/{number}", self.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


class Publishers:
    """Processes of `category-publisher run`, each with its own process id namespace.

    So none can see that another is dead, as if each ran on another machine.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self._log = (folder / "log").open("ab")

    def start(self) -> None:
        """Start one more."""
        command = [sys.executable, "-m", "publisher", "run"]
        if shutil.which("unshare"):
            command = ["unshare", "--pid", "--fork", "--kill-child", *command]
        variables = {
            "CATEGORY_PUBLISHER_HTTP_LISTEN": "off",
            "CATEGORY_PUBLISHER_LOG_LEVEL": "warning",
        }
        self._running.append(
            subprocess.Popen(
                command,
                cwd=self._folder,
                env=environment(variables),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
            )
        )

    def kill_one(self) -> None:
        """Kill one of them, at random, with SIGKILL."""
        victim = self._running.pop(random.randrange(len(self._running)))
        victim.kill()
        victim.wait()

    def kill_all(self) -> None:
        """Kill all of them with SIGKILL."""
        while self._running:
            self.kill_one()
        self._log.close()


@contextmanager
def run_publishers(folder: Path, count: int) -> Iterator[Publishers]:
    """Run `count` publishers."""
    running = Publishers(folder)
    try:
        for _ in range(count):
            running.start()
        yield running
    finally:
        running.kill_all()


def configure(folder: Path, valkey: Valkey, url: str) -> None:
    """Write a configuration with all catalogs."""
    lines = [f'redis_url = "{valkey.url}"', f'lease = "{LEASE}s"', 'data_dir = "data"']
    for number in range(CATALOGS):
        lines += [f"[catalogs.c{number}]", 'source = "http"', f'url = "{url}/{number}"']
        lines += [f'poll_every = "{INTERVAL}s"']
    (folder / "publisher.toml").write_text("\n".join(lines))


async def lease_owners(client: redis.asyncio.Redis) -> Counter[bytes | str | None]:
    """Return the number of leases by owner; the owner None has the free ones."""
    names = [f"catalog:{{c{number}}}:lease" for number in range(CATALOGS)]
    return Counter(await client.mget(names))


async def are_leases_shared(client: redis.asyncio.Redis, count: int) -> bool:
    """Return whether `count` publishers hold all leases."""
    found = await lease_owners(client)
    return None not in found and len(found) == count


async def takeover_seconds(
    client: redis.asyncio.Redis, before: Counter[bytes | str | None]
) -> float:
    """Wait until every lease of the killed owner is taken; return the seconds."""
    start = time.monotonic()

    async def is_over() -> bool:
        now = await lease_owners(client)
        return now[None] == 0 and any(now[who] == 0 for who in before)

    await eventually(is_over)
    return time.monotonic() - start


@pytest.mark.contract("5.1")
@pytest.mark.contract("5.3")
@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 5])
async def test_killed_publishers_are_replaced_within_the_lease(
    count: int, valkey: Valkey, real_client: redis.asyncio.Redis, folder: Path
) -> None:
    """Catalogs are polled about once per interval, takeovers keep to the lease time.

    Whenever a publisher is killed, each history is complete and its replay is the state.
    """
    source = ChangingTrees()
    async with source.open() as address:
        configure(folder, valkey, address)
        with run_publishers(folder, count) as publishers:
            await eventually(lambda: all_polled(source))
            start, takeovers = time.monotonic(), []
            while time.monotonic() - start < DURATION:
                await asyncio.sleep(KILL_EVERY)
                await eventually(lambda: are_leases_shared(real_client, count))
                before = await lease_owners(real_client)
                publishers.kill_one()
                takeovers.append(await takeover_seconds(real_client, before))
                publishers.start()
            report(source, start, takeovers, count)
    for number in range(CATALOGS):
        found = await read_keys(real_client, f"c{number}")
        check_consistent(found)
        assert {event["epoch"] for event in found.events} == {found.meta["epoch"]}
        assert len(found.events) == int(found.meta["sequence"])
    assert (folder / "log").read_text() == ""
    assert max(takeovers) < LEASE + patience(1)


async def all_polled(source: ChangingTrees) -> bool:
    """Return whether each catalog was polled."""
    return len({call.catalog for call in source.calls}) == CATALOGS


def report(source: ChangingTrees, start: float, takeovers: list[float], count: int) -> None:
    """Print the figures, and check the calls to the source."""
    span = time.monotonic() - start
    calls = [call for call in source.calls if call.at >= start]
    rate = len(calls) / CATALOGS / (span / INTERVAL)
    last = dict.fromkeys(range(CATALOGS), start)
    gaps = []
    for call in calls:
        gaps.append(call.at - last[call.catalog])
        last[call.catalog] = call.at
    print(  # noqa: T201  shown by pytest -s
        f"\n{count} publishers, {CATALOGS} catalogs, {span:.0f} s, {len(takeovers)} killed: "
        f"{rate:.2f} polls per catalog and interval, longest gap {max(gaps):.1f} s of {INTERVAL} s, "
        f"takeovers {min(takeovers):.1f} to {max(takeovers):.1f} s of a lease of {LEASE} s"
    )
    assert 0.8 / LOAD < rate < 1.5
    assert max(gaps) < 1.1 * INTERVAL + patience(2 * LEASE)
