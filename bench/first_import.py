"""First import of a large tree, from the sandbox into Redis, beside a bare pipelined client.

Both write the same bytes in one run, in turn, into the embedded server with its append-only file
on. The bare client has everything encoded already: it is the floor that no publisher gets below.

    .venv/bin/python -m bench.first_import --categories 100000 --runs 3
"""

import argparse
import asyncio
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis.asyncio
from pydantic import SecretStr

from plumbing import embedded
from plumbing.config import CatalogSettings, Settings, TikTokShopSettings
from plumbing.stay import Stay
from publisher import record
from publisher.app import opened_app
from publisher.sandbox import Sandbox, SandboxOptions

CHUNK = 2000
"""Rows of one variadic HSET of the bare client."""


def main() -> None:
    """Measure, and print a line per run and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--categories", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "SHOP"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        folder, shop = options.child
        print(json.dumps(asyncio.run(imported(Path(folder), json.loads(shop)))))
    else:
        asyncio.run(compared(options.categories, options.runs))


async def compared(categories: int, runs: int) -> None:
    """Run publisher and bare client in turn."""
    found = []
    with tempfile.TemporaryDirectory(prefix="cpb-") as folder:
        async with (
            embedded.running(Path(folder), Stay.BORROW) as url,
            Sandbox(SandboxOptions(categories=categories, advance="command")) as sandbox,
            redis.asyncio.Redis.from_url(url, protocol=2, socket_timeout=60) as client,
        ):
            shop = {
                "api_url": sandbox.url,
                "app_key": sandbox.app_key,
                "app_secret": sandbox.app_secret,
                "access_token": sandbox.access_token,
                "shop_cipher": sandbox.shop_cipher,
            }
            for number in range(1, runs + 1):
                await client.flushall()
                ours = await asyncio.to_thread(in_a_process, folder, shop)
                commands = await written_bytes(client)
                await client.flushall()
                bare = await asyncio.to_thread(bare_seconds, Path(folder), commands)
                found.append((ours["seconds"], bare, ours["peak_mb"], ours["idle_mb"]))
                print(told(f"run {number}", *found[-1]), flush=True)
    print(told("median", *(statistics.median(column) for column in zip(*found, strict=True))))


def told(name: str, ours: float, bare: float, peak: float, idle: float) -> str:
    """Return one line of the result."""
    return (
        f"{name}: publisher {ours:.2f} s, bare client {bare:.2f} s, ratio {ours / bare:.2f}, "
        f"peak memory {peak:.0f} MB (idle with the same imports {idle:.0f} MB)"
    )


def in_a_process(folder: str, shop: dict[str, str]) -> dict[str, float]:
    """Import in a process of its own, and return what it measured of itself."""
    command = [sys.executable, "-m", "bench.first_import", "--child", folder, json.dumps(shop)]
    done = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    result: dict[str, float] = json.loads(done.stdout)
    return result


async def imported(folder: Path, shop: dict[str, str]) -> dict[str, float]:
    """Poll once, from the question to the acknowledged commit."""
    idle = peak_mb()
    cipher = shop.pop("shop_cipher")
    settings = Settings.model_construct(
        redis_url=SecretStr(f"unix://{folder / embedded.SOCKET}"),
        catalogs={
            "us": CatalogSettings(source="tiktok_shop", category_version="v2", shop_cipher=cipher)
        },
        tiktok_shop=TikTokShopSettings.model_validate(
            {**shop, "token_file": folder / "tokens.json"}
        ),
    )
    async with opened_app(settings, ["us"]) as app:
        begin = time.perf_counter()
        await record.poll(app.catalogs["us"], app.server)
        seconds = time.perf_counter() - begin
    return {"seconds": seconds, "peak_mb": peak_mb(), "idle_mb": idle}


def peak_mb() -> float:
    """Return this process's peak resident memory so far (Linux: proc(5), VmHWM).

    Not `getrusage`: its maximum is inherited from the parent.
    """
    status = Path("/proc/self/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


async def written_bytes(client: Any) -> bytes:
    """Return, as one transaction in RESP, commands that write what the publisher wrote."""
    rows = await client.hgetall("catalog:{us}:categories")
    meta = await client.hgetall("catalog:{us}:meta")
    events = [fields[b"event"] for _, fields in await client.xrange("catalog:{us}:events")]
    words = [word for pair in rows.items() for word in pair]
    commands = [
        [b"MULTI"],
        *([b"XADD", b"catalog:{us}:events", b"*", b"event", event] for event in events),
        *([b"HSET", b"catalog:{us}:categories", *chunk] for chunk in chunks(words, 2 * CHUNK)),
        [b"HSET", b"catalog:{us}:meta", *(word for pair in meta.items() for word in pair)],
        [b"EXEC"],
    ]
    return b"".join(map(resp, commands))


def chunks(words: list[bytes], size: int) -> Iterator[list[bytes]]:
    """Return `words` in lists of at most `size`."""
    for begin in range(0, len(words), size):
        yield words[begin : begin + size]


def resp(words: list[bytes]) -> bytes:
    """Return a command as the protocol has it."""
    parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n%b" % (len(words), b"".join(parts))


def bare_seconds(folder: Path, commands: bytes) -> float:
    """Send `commands` and read all replies; return how long that took."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(folder / embedded.SOCKET))
        begin = time.perf_counter()
        connection.sendall(commands + resp([b"ECHO", b"the-end"]))
        tail = b""
        while not tail.endswith(b"the-end\r\n"):
            tail = (tail + connection.recv(1 << 20))[-16:]
        return time.perf_counter() - begin


if __name__ == "__main__":
    main()
