"""The cost of starting: whole processes of `sync` with nothing changed.

The floor is an interpreter that only imports what an asynchronous publisher needs. The server is
running already, as it is for cron, and the source answers on loopback with 2,700 categories. The
modules of both are compiled before, as those of an installed package are.

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
from bench.benchmarks import SYNC
from bench.http_source import http_source
from bench.measure import Samples, measure_alternately
from bench.report import Result, table_lines
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
    print("\n".join(table_lines([Result(SYNC, CATEGORIES, samples)])))


async def sync_unchanged(runs: int, *, source: str = "http") -> Samples:
    """Measure both, in seconds; `source` is `http` or `file`."""
    compile_all()
    with tempfile.TemporaryDirectory(prefix="cpb-") as name:
        folder = Path(name)
        async with (
            server.running(folder) as url,
            http_source(tree()) as (address, _),
            redis.asyncio.Redis.from_url(url, protocol=2, decode_responses=True) as client,
        ):
            configure(folder, url, f"{address}/tree" if source == "http" else "tree.json", source)
            await run_process((COMMAND, "sync"), folder)
            return await measure_alternately(
                runs,
                partial(sync_seconds, folder, client),
                partial(process_seconds, FLOOR, folder, ""),
            )


def compile_all() -> None:
    """Compile our packages; pip has compiled the others."""
    for package in ("publisher", "plumbing"):
        compileall.compile_dir(ROOT / package, quiet=1)


def tree() -> bytes:
    """Return the source's answer, a bare list."""
    return orjson.dumps([row._asdict() for row in generate(CATEGORIES)])


def configure(folder: Path, redis_url: str, url: str, source: str) -> None:
    """Write a configuration with one catalog, and the file for `source = "file"`."""
    (folder / "tree.json").write_bytes(tree())
    (folder / "publisher.toml").write_text(
        f'redis_url = "{redis_url}"\n[catalogs.us]\nsource = "{source}"\nurl = "{url}"\n'
    )


async def sync_seconds(folder: Path, client: redis.asyncio.Redis) -> float:
    """Return the seconds of one `sync`, which must record an unchanged poll."""
    await client.delete("catalog:{us}:status")
    sequence: Any = await client.hget("catalog:{us}:meta", "sequence")
    taken = await process_seconds((COMMAND, "sync"), folder, UNCHANGED.format(sequence))
    outcome = await client.hget("catalog:{us}:status", "outcome")
    if outcome != "unchanged":
        raise AssertionError(f"the outcome in the status is {outcome!r}")
    return taken


async def process_seconds(command: Sequence[str], folder: Path, expected: str) -> float:
    """Return the seconds of a whole process that prints `expected`."""
    start = time.perf_counter()
    output = await run_process(command, folder)
    taken = time.perf_counter() - start
    if output != expected:
        raise AssertionError(f"{command} printed {output!r}, not {expected!r}")
    return taken


async def run_process(command: Sequence[str], folder: Path) -> str:
    """Run a process to its end; return its output.

    Raises AssertionError unless it exits with 0.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise AssertionError(f"{command} ended with exit code {process.returncode}")
    return output.decode()


if __name__ == "__main__":
    main()
