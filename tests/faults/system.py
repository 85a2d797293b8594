"""All processes around one Redis: source, publishers, consumers, and checkers.

The processes are real, and reach each other at addresses behind which a test may put a proxy. The
checker has its own connection to the server, by its Unix socket.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tests.faults.catalog_checker import CatalogChecker, Finding
from tests.faults.changing_source import ChangingSource, random_tree, serving
from tests.faults.processes import CONSUMER, PUBLISHER, Process
from tests.faults.projection_checker import KINDS, ProjectionChecker, ProjectionKind
from tests.support.valkey import Valkey
from tests.support.waiting import eventually, patience

CHECK_SECONDS: Final = 0.02
"""Between two checks; there may be several polls between them, or none."""
RECOVERY_SECONDS: Final = patience(45)
"""From the end of a fault; what takes longer counts as lost."""
LEASE_SECONDS: Final = 2.0
CATEGORIES: Final = 60
TIME_OUT: Final = 20.0


class Verdict(NamedTuple):
    """The result of a run."""

    findings: list[Finding]
    recovery: float
    """The longest time in seconds from the end of a fault until everything was equal again."""


class System:
    """The processes and checkers of one catalog, `us`. Open one with `open_system`."""

    def __init__(
        self,
        folder: Path,
        server: Valkey,
        kinds: Iterable[ProjectionKind],
        categories: int,
        seed: int,
        **checker_options: Any,
    ) -> None:
        self.folder = folder
        self.server = server
        self.rng = random.Random(seed)
        self.client = checker_client(server)
        self.checker = CatalogChecker(self.client, **checker_options)
        self.source = ChangingSource(self.checker, random_tree(categories, self.rng))
        self.projections = [
            ProjectionChecker(kind, self._database_url(kind), self.checker) for kind in kinds
        ]
        self.publishers: list[Process] = []
        self.consumers: dict[str, Process] = {}
        """The last consumer of each projection."""
        self._started: list[Process] = []
        self.publisher_redis = self.consumer_redis = server.url
        self.source_url = ""
        """The address of a proxy, set by a test before the start; empty: the source's own address."""
        self.source_settings = ""
        """The catalog's source in publisher.toml; if empty, `http` at `source_url`."""
        self.catalog_settings = ""
        """More of the catalog's section in publisher.toml."""
        self.variables: dict[str, str] = {}
        """More environment variables of each publisher."""
        self.longest_recovery = 0.0
        self._numbers = count(1)
        self._is_closed = False
        self._checks = 0
        self._checking: asyncio.Task[None] | None = None

    def _database_url(self, kind: ProjectionKind) -> str:
        return f"sqlite:///{self.folder / kind.name}.sqlite?timeout=20"

    @property
    def running(self) -> list[Process]:
        """All processes that were started and have not ended."""
        return [each for each in self._started if each.exit_code is None]

    def start(self, publishers: int = 1) -> None:
        """Start publishers, and a consumer for each projection."""
        for _ in range(publishers):
            self.start_publisher()
        for projection in self.projections:
            self.start_consumer(projection)

    def start_publisher(self, *, settings: str | None = None, **options: Any) -> Process:
        """Start `category-publisher run`; `settings` replace `catalog_settings`."""
        publisher = self.publisher("run", settings=settings, **options)
        self.publishers.append(publisher)
        return publisher

    def publisher(self, *words: str, settings: str | None = None, **options: Any) -> Process:
        """Start any command of the publisher."""
        folder = self.write_config(settings)
        return self._start_process(PUBLISHER, folder, words, self.variables | options)

    def write_config(self, settings: str | None = None) -> Path:
        """Write a publisher's configuration into a new folder, and return the folder."""
        folder = self._new_folder("publisher")
        more = self.catalog_settings if settings is None else settings
        url = self.source_url or self.source.url
        source = self.source_settings or f'source = "http"\nurl = "{url}"'
        (folder / "publisher.toml").write_text(
            f'redis_url = "{self.publisher_redis}"\nlease = "{LEASE_SECONDS:g}s"\n'
            f'http_listen = "off"\n[catalogs.us]\n{source}\npoll_every = "50ms"\n'
            f'request_timeout = "3s"\n{more}'
        )
        return folder

    def start_consumer(self, projection: ProjectionChecker, **options: Any) -> Process:
        """Start `category-consumer` for `projection`; it runs until it is stopped."""
        self.consumers[projection.kind.name] = self.consumer(projection, **options)
        return self.consumers[projection.kind.name]

    def consumer(self, projection: ProjectionChecker, *words: str, **options: Any) -> Process:
        """Start the consumer of `projection` with more arguments, such as `--once`."""
        folder = self._new_folder(projection.kind.name)
        (folder / "publisher.toml").write_text(f'redis_url = "{self.consumer_redis}"\n')
        words = (*projection.kind.command, "us", "--to", projection.url, *words)
        return self._start_process(CONSUMER, folder, words, options)

    def _start_process(
        self, module: str, folder: Path, words: Iterable[str], options: dict[str, Any]
    ) -> Process:
        self._started.append(Process(module, *words, cwd=folder, logs=folder, **options))
        return self._started[-1]

    def _new_folder(self, name: str) -> Path:
        folder = self.folder / f"{next(self._numbers)}-{name}"
        folder.mkdir()
        return folder

    def start_checking(self) -> None:
        """Check everything repeatedly from now on."""
        self._checking = asyncio.create_task(self._check_repeatedly())

    async def _check_repeatedly(self) -> None:
        """Check everything until the system is closed; wait while Redis is down.

        It ends by a flag, because redis-py on Python 3.11 may lose a cancellation.
        """
        while not self._is_closed:
            with contextlib.suppress(redis.exceptions.RedisError, OSError):
                await self.checker.check()
                for projection in self.projections:
                    await projection.check()
                self._checks += 1
            await asyncio.sleep(CHECK_SECONDS)

    async def change(self, times: int = 3) -> None:
        """Change the source's tree so many times, within a moment."""
        for _ in range(times):
            self.source.change(self.rng)
            await asyncio.sleep(self.rng.uniform(0.01, 0.1))

    async def wait_for_check(self) -> None:
        """Wait until the checker has seen everything that is stored now."""
        checks = self._checks

        async def has_checked() -> bool:
            return self._checks > checks + 1

        await eventually(has_checked)

    async def settle(self, *, within: float = RECOVERY_SECONDS) -> None:
        """Wait until state and projections equal the source; then allow no breaks."""
        begin, checks = time.monotonic(), self._checks

        async def is_equal() -> bool:
            return self._checks > checks + 1 and await self._is_equal()

        try:
            await eventually(is_equal, within=within)
        except TimeoutError:
            self.checker.report(
                "lost", f"not equal within {within:.0f} s: {self._describe_state()}"
            )
        self.longest_recovery = max(self.longest_recovery, time.monotonic() - begin)
        self.checker.end_break()

    async def _is_equal(self) -> bool:
        if not self.checker.position or self.checker.tree != self.source.tree:
            return False
        seen = [await projection.read() for projection in self.projections]
        return all(each and each.position == self.checker.position for each in seen)

    def _describe_state(self) -> str:
        ended = {" ".join(each.words): each.err[-500:] for each in self.running}
        return f"state at {self.checker.position or 'nothing'}, logs end with {ended}"

    async def move_checker_to(self, server: Valkey) -> None:
        """Let the checker read from `server` from now on."""
        old, self.server, self.client = self.client, server, checker_client(server)
        self.checker.client = self.client
        await old.aclose()

    async def verdict(self) -> Verdict:
        """Stop checking, check everything once more at rest, and return the result."""
        await self._stop_checking()
        await self.checker.final_check()
        if self.checker.tree != self.source.tree:
            self.checker.report("diverged", "the state is not the tree of the source")
        for projection in self.projections:
            await projection.final_check()
        return Verdict(self.checker.findings, self.longest_recovery)

    async def close(self) -> None:
        """End all processes."""
        for process in self.running:
            process.kill()
        await self._stop_checking()
        await self.client.aclose()

    async def _stop_checking(self) -> None:
        self._is_closed = True
        if self._checking is not None:
            await self._checking


@asynccontextmanager
async def open_system(
    folder: Path,
    server: Valkey,
    *,
    kinds: Collection[ProjectionKind] = KINDS,
    categories: int = CATEGORIES,
    seed: int = 1,
    checking: bool = True,
    **checker_options: Any,
) -> AsyncIterator[System]:
    """Open a system around the empty `server`, with only source and checker started.

    Without `checking` the test calls the checkers itself.
    """
    system = System(folder, server, kinds, categories, seed, **checker_options)
    async with serving(system.source):
        if checking:
            system.start_checking()
        try:
            yield system
        finally:
            await system.close()


def checker_client(server: Valkey) -> redis.asyncio.Redis:
    """Return the checker's client: it retries once and has a short time-out."""
    return redis.asyncio.Redis.from_url(
        server.url, protocol=2, socket_timeout=TIME_OUT, retry=Retry(NoBackoff(), 1)
    )
