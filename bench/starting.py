"""What starting costs: `category-publisher sync` with nothing changed, whole processes.

Beside it, as the floor, an interpreter that only imports what an asynchronous publisher needs. The
server is there already, as it is for cron, and the source answers on loopback with 2,700
categories. Both find their modules compiled: a package that is installed is.

    .venv/bin/python -m bench.starting --runs 10
"""

import argparse
import asyncio
import compileall
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
import redis.asyncio

from bench import server
from bench.measure import Samples, in_turn
from bench.report import Result, lines
from bench.served import served
from bench.works import SYNC
from publisher.sandbox.synthetic import generate

CATEGORIES: Final = 2700
IMPORTS: Final = "import aiohttp, redis.asyncio, orjson, pydantic_settings"
FLOOR: Final = (sys.executable, "-c", IMPORTS)
COMMAND: Final = str(Path(sys.executable).with_name("category-publisher"))
ROOT: Final = Path(__file__).parents[1]
UNCHANGED: Final = "us: unchanged (sequence {})\n"


def main() -> None:
    """Measure, and print the medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--source", choices=("http", "file"), default="http")
    options = parser.parse_args()
    samples = asyncio.run(sync_unchanged(options.runs, source=options.source))
    print("\n".join(lines([Result(SYNC, CATEGORIES, samples)])))


async def sync_unchanged(runs: int, *, source: str = "http") -> Samples:
    """Measure both, in seconds; `source` is `http` or `file`."""
    compile_all()
    with tempfile.TemporaryDirectory(prefix="cpb-") as name:
        folder = Path(name)
        async with (
            server.running(folder) as url,
            served(tree()) as (address, _),
            redis.asyncio.Redis.from_url(url, protocol=2, decode_responses=True) as client,
        ):
            configure(folder, url, f"{address}/tree" if source == "http" else "tree.json", source)
            await finished((COMMAND, "sync"), folder)
            return await in_turn(
                runs,
                partial(sync_seconds, folder, client),
                partial(seconds, FLOOR, folder, ""),
            )


def compile_all() -> None:
    """Compile our packages; pip has done it with all others."""
    for package in ("publisher", "plumbing"):
        compileall.compile_dir(ROOT / package, quiet=1)


def tree() -> bytes:
    """Return the source's answer."""
    return orjson.dumps([row._asdict() for row in generate(CATEGORIES)])


def configure(folder: Path, redis_url: str, url: str, source: str) -> None:
    """Write a configuration of one catalog, and the file that it may name."""
    (folder / "tree.json").write_bytes(tree())
    (folder / "publisher.toml").write_text(
        f'redis_url = "{redis_url}"\n[catalogs.us]\nsource = "{source}"\nurl = "{url}"\n'
    )


async def sync_seconds(folder: Path, client: redis.asyncio.Redis) -> float:
    """Return the seconds of one `sync`, which must have recorded a poll that found no change."""
    await client.delete("catalog:{us}:status")
    sequence: Any = await client.hget("catalog:{us}:meta", "sequence")
    taken = await seconds((COMMAND, "sync"), folder, UNCHANGED.format(sequence))
    outcome = await client.hget("catalog:{us}:status", "outcome")
    if outcome != "unchanged":
        raise AssertionError(f"the status says {outcome!r}")
    return taken


async def seconds(command: Sequence[str], folder: Path, expected: str) -> float:
    """Return the seconds of a whole process that prints `expected`."""
    begin = time.perf_counter()
    told = await finished(command, folder)
    taken = time.perf_counter() - begin
    if told != expected:
        raise AssertionError(f"{command} says {told!r}, not {expected!r}")
    return taken


async def finished(command: Sequence[str], folder: Path) -> str:
    """Run a process to its end; return what it printed. Its exit code has to be 0."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    if process.returncode != 0:
        raise AssertionError(f"{command} ended with exit code {process.returncode}")
    return told.decode()


if __name__ == "__main__":
    main()
