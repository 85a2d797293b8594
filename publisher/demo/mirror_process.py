"""The demo's consumer, `category-consumer mirror`, in its own process."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final, Self

from plumbing.config.settings import ENV_PREFIX
from plumbing.redis.server import Client
from publisher.core import digest as digests
from publisher.core.event import Position
from publisher.core.model import Category, parse_object
from publisher.errors import CopyDiffers
from publisher.state import keys

CATCH_UP_SECONDS: Final = 20.0
CHECK_SECONDS: Final = 0.01
STOP_SECONDS: Final = 5.0
CONSUMER: Final = "mirror"


class MirrorProcess:
    """A SQLite copy of `catalog` in `folder`, and the process that writes it."""

    def __init__(self, folder: Path, catalog: str) -> None:
        self.file = folder / "copy.sqlite"
        self._catalog = catalog
        self._folder = folder
        self._log = folder / "mirror.log"
        self._process: asyncio.subprocess.Process | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Run the consumer while the context lasts."""
        with self._log.open("wb") as log:
            process = self._process = await self._start_consumer("mirror", log.fileno())
        try:
            yield self
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    async with asyncio.timeout(STOP_SECONDS):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()

    async def wait_until_at(self, client: Client, position: Position) -> None:
        """Return when the consumer has published a checkpoint at `position`.

        Raises CopyDiffers if it has ended, or takes longer than CATCH_UP_SECONDS.
        """
        key = keys.key(self._catalog, "consumers")
        wanted = {**position._asdict(), "digest": digests.text(position.digest)}.items()
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                while not wanted <= (parse_object(await client.hget(key, CONSUMER)) or {}).items():
                    if self._process and self._process.returncode is not None:
                        output = self._log.read_text(errors="replace").strip()
                        raise CopyDiffers(
                            f"the consumer ended with {self._process.returncode}: {output}"
                        )
                    await asyncio.sleep(CHECK_SECONDS)
        except TimeoutError:
            raise CopyDiffers(
                f"the copy did not reach sequence {position.sequence} "
                f"within {CATCH_UP_SECONDS:.0f} s"
            ) from None

    def digest(self) -> str:
        """Return the digest of the rows in the file, as the publisher computes it."""
        with closing(sqlite3.connect(f"{self.file.as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT id, parent_id, local_name, is_leaf FROM categories")
            return digests.text(digests.of(Category(*row) for row in rows))

    async def is_verified(self) -> bool:
        """Return whether `category-consumer verify` finds the copy equal to the state."""
        process = await self._start_consumer("verify", asyncio.subprocess.DEVNULL)
        return await process.wait() == 0

    async def _start_consumer(self, command: str, output: int) -> asyncio.subprocess.Process:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)
        }
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "consumers", command, self._catalog),
            *("--to", f"sqlite:///{self.file}"),
            *("--config", str(self._folder / "publisher.toml")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the demo only, which stops it in order
        )
