"""The demo's consumer, `category-consumer mirror` in its own process, and proof of its copy."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

import orjson

from plumbing.config.settings import ENV_PREFIX
from plumbing.redis.server import Client
from publisher.core import digest as digests
from publisher.core.event import Position
from publisher.core.model import Category
from publisher.errors import CopyDiffers

CATCH_UP_SECONDS: Final = 20.0
LOOK_AGAIN_SECONDS: Final = 0.01
END_SECONDS: Final = 5.0
NAME: Final = "mirror"


class MirrorProcess:
    """A SQLite file that follows catalog `catalog`, and the process that writes it."""

    def __init__(self, folder: Path, catalog: str) -> None:
        self.file = folder / "copy.sqlite"
        self._catalog = catalog
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    @asynccontextmanager
    async def kept(self) -> AsyncIterator["MirrorProcess"]:
        """Have the consumer running, for as long as the context lasts."""
        with (self._folder / "mirror.log").open("wb") as log:
            self._process = await self._consumer("mirror", log.fileno())
        try:
            yield self
        finally:
            await _end(self._process)

    async def caught_up(self, client: Client, position: Position) -> None:
        """Return when the consumer has published a checkpoint at `place`. Raises CopyDiffers."""
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                while not await self._is_at(client, position):
                    self._check_alive()
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
        except TimeoutError:
            raise CopyDiffers(
                f"the copy did not reach sequence {position.sequence} "
                f"within {CATCH_UP_SECONDS:.0f} s"
            ) from None

    def digest(self) -> str:
        """Return the digest of the rows in the file, by the publisher's own implementation."""
        with closing(sqlite3.connect(f"{self.file.as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT id, parent_id, local_name, is_leaf FROM categories")
            return digests.text(digests.of(Category(*row) for row in rows))

    async def verified(self) -> bool:
        """Return whether `category-consumer verify` says that the copy equals the state."""
        process = await self._consumer("verify", asyncio.subprocess.DEVNULL)
        return await process.wait() == 0

    async def _consumer(self, command: str, output: int) -> asyncio.subprocess.Process:
        own = {key: value for key, value in os.environ.items() if not key.startswith(ENV_PREFIX)}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "consumers", command, self._catalog),
            *("--to", f"sqlite:///{self.file}"),
            *("--config", str(self._folder / "publisher.toml")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=own,
            start_new_session=True,  # a Ctrl-C is for the demo, which ends it in order
        )

    async def _is_at(self, client: Client, position: Position) -> bool:
        value = await client.hget(f"catalog:{{{self._catalog}}}:consumers", NAME)
        told = orjson.loads(value) if value else {}
        wanted = (position.epoch, position.sequence, digests.text(position.digest))
        return (told.get("epoch"), int(told.get("sequence", -1)), told.get("digest")) == wanted

    def _check_alive(self) -> None:
        if self._process is None or self._process.returncode is None:
            return
        said = (self._folder / "mirror.log").read_text(errors="replace").strip()
        raise CopyDiffers(f"the consumer ended with {self._process.returncode}: {said}")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
