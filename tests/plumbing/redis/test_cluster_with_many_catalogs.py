"""A Cluster with 1,000 catalogs loses a primary, then moves slots."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import redis.exceptions

from plumbing.redis.server import Client, Server
from publisher.core import digest as digests
from publisher.core.model import Category
from tests.plumbing.redis.conftest import short_folder
from tests.support.processes import CONSUMER, PUBLISHER, call, replace
from tests.support.redis_servers import Cluster
from tests.support.trees import body
from tests.support.waiting import PATIENCE, eventually

CATALOGS: Final = [f"c{number}" for number in range(1000)]
FOLLOWED: Final = CATALOGS[::250]
SLOTS_TO_MOVE: Final = 2000


def tree(catalog: str, generation: int) -> list[Category]:
    """Return a source's categories.

    Each generation has another name and one category more.
    """
    names = [f"{catalog} {generation}", *(f"leaf {n}" for n in range(generation))]
    return [Category(str(n), "0", name, False) for n, name in enumerate(names, start=1)]


def publish(folder: Path, generation: int) -> None:
    for catalog in CATALOGS:
        replace(folder / f"{catalog}.json", body(tree(catalog, generation)))


def configure(folder: Path, url: str) -> None:
    catalogs = (
        f'[catalogs.{name}]\nsource = "file"\nurl = "{name}.json"\npoll_every = "10s"\n'
        for name in CATALOGS
    )
    head = f'redis_url = "{url}"\nhttp_listen = "off"\nlease = "6s"\n'
    (folder / "publisher.toml").write_text(head + "".join(catalogs))


@contextmanager
def running(module: str, *words: str, folder: Path) -> Iterator[None]:
    """Run a command until the context ends; assert that it ends with exit code 0."""
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words], cwd=folder, stdout=log, stderr=log
        )
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0, (folder / "log").read_text()[-2000:]
    finally:
        process.kill()
        process.wait()


async def metas(client: Client) -> list[dict[bytes, bytes]]:
    async with client.pipeline(transaction=False) as pipeline:
        for name in CATALOGS:
            pipeline.hgetall(f"catalog:{{{name}}}:meta")
        return await pipeline.execute()


async def wait_until_published(server: Server, generation: int) -> None:
    async with server.client() as client:
        await eventually(partial(is_published, client, generation))


async def is_published(client: Client, generation: int) -> bool:
    wanted = [digests.text(digests.of(tree(name, generation))).encode() for name in CATALOGS]
    try:
        found = await metas(client)
    except redis.exceptions.RedisError:
        return False  # a failover is under way
    return [meta.get(b"digest") for meta in found] == wanted


async def check_history(client: Client, catalog: str) -> None:
    """Assert that no sequence of an epoch is missing or a duplicate."""
    entries: Any = await client.xrange(f"catalog:{{{catalog}}}:events")
    events = [orjson.loads(fields[b"event"]) for _, fields in entries]
    for one, next_ in pairwise(events):
        if one["epoch"] == next_["epoch"]:
            assert int(next_["sequence"]) == int(one["sequence"]) + 1, catalog


def reshard(cluster: Cluster) -> None:
    """Move slots from one primary to another, as operators do."""
    source, target = cluster.primaries[1], cluster.primaries[2]
    subprocess.run(
        [
            *("redis-cli", "--cluster", "reshard", f"127.0.0.1:{source.port}"),
            *("--cluster-from", source.name, "--cluster-to", target.name),
            *("--cluster-slots", str(SLOTS_TO_MOVE), "--cluster-yes"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=PATIENCE,
    )


@pytest.mark.contract("5.1")
@pytest.mark.contract("5.6")
@pytest.mark.slow
async def test_all_catalogs_survive_a_failover_and_a_reshard() -> None:
    """Each catalog ends equal to its source, without a gap or a duplicate.

    So do its mirrors.
    """
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not here: install the system package redis-tools")
    with short_folder() as folder, ExitStack() as stack:
        (folder / "nodes").mkdir()
        cluster = Cluster(folder / "nodes", replicas=1)
        stack.callback(cluster.kill)
        cluster.start()
        configure(folder, cluster.url)
        publish(folder, 1)
        server = Server(cluster.url)

        with running(PUBLISHER, "run", folder=folder), running(PUBLISHER, "run", folder=folder):
            await wait_until_published(server, 1)
            with ExitStack() as followers:
                for name in FOLLOWED:
                    words = ("mirror", name, "--to", f"sqlite:///{name}.sqlite")
                    followers.enter_context(running(CONSUMER, *words, folder=folder))
                publish(folder, 2)
                cluster.primaries[0].kill()
                await wait_until_published(server, 2)
                publish(folder, 3)
                reshard(cluster)
                await wait_until_published(server, 3)
        async with server.client() as client:
            for name in CATALOGS:
                await check_history(client, name)
        for name in FOLLOWED:
            to = f"sqlite:///{name}.sqlite"
            assert call(CONSUMER, "mirror", name, "--to", to, "--once", cwd=folder).returncode == 0
            verified = call(CONSUMER, "verify", name, "--to", to, cwd=folder)
            assert verified.returncode == 0, verified.stderr
