"""Many catalogs, several publishers, one of them killed every few seconds (issue 4)."""

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
from tests.support.waiting import eventually

CATALOGS: Final = 1000
INTERVAL: Final = 20.0
LEASE: Final = 6.0
KILL_EVERY: Final = 5.0
SECONDS: Final = 100.0
CHANGES_EVERY: Final = 45.0
START: Final = 60.0
"""Seconds within which all catalogs are polled for the first time."""


class Call(NamedTuple):
    """A question to the source."""

    catalog: int
    at: float


class Market:
    """A source of many trees, which change, and which notes who asks when."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._begun = time.monotonic()

    async def answer(self, request: web.Request) -> web.Response:
        """Give the tree of one catalog as it is now."""
        number = int(request.match_info["number"])
        self.calls.append(Call(number, time.monotonic()))
        return web.Response(body=self._tree(number), content_type="application/json")

    def _tree(self, number: int) -> bytes:
        version = int((time.monotonic() - self._begun + number) / CHANGES_EVERY)
        rows = [("1", "0", f"Home {version}", False), ("2", "1", "Cups", True)]
        new = (str(100 + version), "1", "New", True)
        return body(tree(*rows, new))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Serve on a free port of loopback; give the address."""
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
    """Processes of `category-publisher run`, each with a space of process ids of its own.

    So none can see that another is dead, as if each had a machine of its own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self._log = (folder / "log").open("ab")

    def start(self) -> None:
        """Add one."""
        words = [sys.executable, "-m", "publisher", "run"]
        if shutil.which("unshare"):
            words = ["unshare", "--pid", "--fork", "--kill-child", *words]
        variables = {
            "CATEGORY_PUBLISHER_HTTP_LISTEN": "off",
            "CATEGORY_PUBLISHER_LOG_LEVEL": "warning",
        }
        self._running.append(
            subprocess.Popen(
                words,
                cwd=self._folder,
                env=environment(variables),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
            )
        )

    def kill_one(self) -> None:
        """End one of them with SIGKILL."""
        victim = self._running.pop(random.randrange(len(self._running)))
        victim.kill()
        victim.wait()

    def end(self) -> None:
        """End all of them with SIGKILL."""
        while self._running:
            self.kill_one()
        self._log.close()


@contextmanager
def publishers(folder: Path, count: int) -> Iterator[Publishers]:
    """Let `count` publishers run."""
    those = Publishers(folder)
    try:
        for _ in range(count):
            those.start()
        yield those
    finally:
        those.end()


def configure(folder: Path, valkey: Valkey, market: str) -> None:
    """Write a configuration of all catalogs."""
    lines = [f'redis_url = "{valkey.url}"', f'lease = "{LEASE}s"', 'data_dir = "data"']
    for number in range(CATALOGS):
        lines += [f"[catalogs.c{number}]", 'source = "http"', f'url = "{market}/{number}"']
        lines += [f'poll_every = "{INTERVAL}s"']
    (folder / "publisher.toml").write_text("\n".join(lines))


async def owners(client: redis.asyncio.Redis) -> Counter[bytes | str | None]:
    """Return how many leases each owner has."""
    names = [f"catalog:{{c{number}}}:lease" for number in range(CATALOGS)]
    return Counter(await client.mget(names))


async def are_shared(client: redis.asyncio.Redis, count: int) -> bool:
    """Tell whether so many publishers hold leases, and nobody is without."""
    found = await owners(client)
    return None not in found and len(found) == count


async def takeover(client: redis.asyncio.Redis, before: Counter[bytes | str | None]) -> float:
    """Return how long it takes until no lease is an owner's that has gone."""
    begun = time.monotonic()

    async def over() -> bool:
        now = await owners(client)
        return now[None] == 0 and any(now[who] == 0 for who in before)

    await eventually(over)
    return time.monotonic() - begun


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 5])
async def test_killed_every_few_seconds(
    count: int, valkey: Valkey, real_client: redis.asyncio.Redis, folder: Path
) -> None:
    """Each catalog is polled about once an interval, takeovers keep to the lease time.

    And whoever is killed whenever: each history is whole, its replay is the state.
    """
    market = Market()
    async with market.open() as address:
        configure(folder, valkey, address)
        with publishers(folder, count) as those:
            await eventually(lambda: all_polled(market), within=START)
            begun, takeovers = time.monotonic(), []
            while time.monotonic() - begun < SECONDS:
                await asyncio.sleep(KILL_EVERY)
                await eventually(lambda: are_shared(real_client, count))
                before = await owners(real_client)
                those.kill_one()
                takeovers.append(await takeover(real_client, before))
                those.start()
            report(market, begun, takeovers, count)
    for number in range(CATALOGS):
        found = await read_keys(real_client, f"c{number}")
        check_consistent(found)
        assert {event["epoch"] for event in found.events} == {found.meta["epoch"]}
        assert len(found.events) == int(found.meta["sequence"])
    assert (folder / "log").read_text() == ""
    assert max(takeovers) < LEASE + 1


async def all_polled(market: Market) -> bool:
    """Tell whether each catalog was asked for."""
    return len({call.catalog for call in market.calls}) == CATALOGS


def report(market: Market, begun: float, takeovers: list[float], count: int) -> None:
    """Print what was measured, and check what must hold of the calls."""
    span = time.monotonic() - begun
    calls = [call for call in market.calls if call.at >= begun]
    rate = len(calls) / CATALOGS / (span / INTERVAL)
    last = dict.fromkeys(range(CATALOGS), begun)
    gaps = []
    for call in calls:
        gaps.append(call.at - last[call.catalog])
        last[call.catalog] = call.at
    print(  # noqa: T201  figures for whoever asks for them with -s
        f"\n{count} publishers, {CATALOGS} catalogs, {span:.0f} s, {len(takeovers)} killed: "
        f"{rate:.2f} polls per catalog and interval, longest gap {max(gaps):.1f} s of {INTERVAL} s, "
        f"takeovers {min(takeovers):.1f} to {max(takeovers):.1f} s of a lease of {LEASE} s"
    )
    assert 0.8 < rate < 1.5
    assert max(gaps) < 1.1 * INTERVAL + 2 * LEASE
