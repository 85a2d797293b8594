"""Everything around one Redis: a source, publishers, consumers with their copies, and who judges.

The processes are real, and what they reach each other by are addresses that a test may put a proxy
behind. The judge has a way of its own to the server, by its Unix socket.
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

from tests.faults.checker import Checker, Finding
from tests.faults.copies import KINDS, Copy, Kind
from tests.faults.processes import CONSUMER, PUBLISHER, Process
from tests.faults.upstream import Upstream, grown, served
from tests.support.valkey import Valkey
from tests.support.waiting import eventually

LOOK_SECONDS: Final = 0.02
"""Between two looks of the judge; several polls may lie between two of them, or none."""
SETTLE_SECONDS: Final = 45.0
"""After the end of a fault; whoever takes longer has lost something."""
LEASE_SECONDS: Final = 2.0
CATEGORIES: Final = 60
TIME_OUT: Final = 20.0


class Verdict(NamedTuple):
    """What a run came to."""

    findings: list[Finding]
    recovery: float
    """Seconds, the longest time from the end of a fault until everything was equal again."""


class World:
    """One catalog `us`. Get one with `opened`."""

    def __init__(
        self,
        folder: Path,
        server: Valkey,
        kinds: Iterable[Kind],
        categories: int,
        seed: int,
        **judging: Any,
    ) -> None:
        self.folder = folder
        self.server = server
        self.chance = random.Random(seed)
        self.client = looking(server)
        self.checker = Checker(self.client, **judging)
        self.upstream = Upstream(self.checker, grown(categories, self.chance))
        self.copies = [Copy(kind, self._database(kind), self.checker) for kind in kinds]
        self.publishers: list[Process] = []
        self.consumers: dict[str, Process] = {}
        """The last one of each projection."""
        self._started: list[Process] = []
        self.publisher_redis = self.consumer_redis = server.url
        self.source_url = ""
        """Set by a test before the start to put a proxy between; else the upstream's own."""
        self.source = ""
        """The catalog's source in publisher.toml; if empty, `http` at `source_url`."""
        self.settings = ""
        """More of the catalog's section in publisher.toml."""
        self.variables: dict[str, str] = {}
        """In the environment of each publisher, besides."""
        self.longest = 0.0
        self._numbers = count(1)
        self._is_closed = False
        self._looks = 0
        self._watching: asyncio.Task[None] | None = None

    def _database(self, kind: Kind) -> str:
        return f"sqlite:///{self.folder / kind.name}.sqlite?timeout=20"

    @property
    def running(self) -> list[Process]:
        """All processes that were started and have not ended."""
        return [each for each in self._started if each.exit_code is None]

    def start(self, publishers: int = 1) -> None:
        """Start so many publishers, and a consumer for each copy."""
        for _ in range(publishers):
            self.start_publisher()
        for copy in self.copies:
            self.start_consumer(copy)

    def start_publisher(self, *, settings: str | None = None, **options: Any) -> Process:
        """Start `category-publisher run`, with other `settings` than the world's if given."""
        publisher = self.publisher("run", settings=settings, **options)
        self.publishers.append(publisher)
        return publisher

    def publisher(self, *words: str, settings: str | None = None, **options: Any) -> Process:
        """Start any command of the publisher."""
        folder = self.configured(settings)
        return self._begun(PUBLISHER, folder, words, self.variables | options)

    def configured(self, settings: str | None = None) -> Path:
        """Return a new folder with a publisher's configuration."""
        folder = self._folder("publisher")
        more = self.settings if settings is None else settings
        url = self.source_url or self.upstream.url
        source = self.source or f'source = "http"\nurl = "{url}"'
        (folder / "publisher.toml").write_text(
            f'redis_url = "{self.publisher_redis}"\nlease = "{LEASE_SECONDS:g}s"\n'
            f'http_listen = "off"\n[catalogs.us]\n{source}\npoll_every = "50ms"\n'
            f'request_timeout = "3s"\n{more}'
        )
        return folder

    def start_consumer(self, copy: Copy, **options: Any) -> Process:
        """Start `category-consumer` for `copy`; it runs until it is ended."""
        self.consumers[copy.kind.name] = self.consumer(copy, **options)
        return self.consumers[copy.kind.name]

    def consumer(self, copy: Copy, *words: str, **options: Any) -> Process:
        """Start the consumer of `copy` with more words, such as `--once`."""
        folder = self._folder(copy.kind.name)
        (folder / "publisher.toml").write_text(f'redis_url = "{self.consumer_redis}"\n')
        words = (*copy.kind.command, "us", "--to", copy.url, *words)
        return self._begun(CONSUMER, folder, words, options)

    def _begun(
        self, module: str, folder: Path, words: Iterable[str], options: dict[str, Any]
    ) -> Process:
        self._started.append(Process(module, *words, cwd=folder, logs=folder, **options))
        return self._started[-1]

    def _folder(self, name: str) -> Path:
        folder = self.folder / f"{next(self._numbers)}-{name}"
        folder.mkdir()
        return folder

    def watch(self) -> None:
        """Have the judge look at everything from now on."""
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Look at everything until closed, again and again; while the server is away, wait for it.

        It is told to end and not cancelled, which redis-py loses on Python 3.11.
        """
        while not self._is_closed:
            with contextlib.suppress(redis.exceptions.RedisError, OSError):
                await self.checker.look()
                for copy in self.copies:
                    await copy.look()
                self._looks += 1
            await asyncio.sleep(LOOK_SECONDS)

    async def changes(self, times: int = 3) -> None:
        """Let the source have another tree, so many times within a moment."""
        for _ in range(times):
            self.upstream.changes(self.chance)
            await asyncio.sleep(self.chance.uniform(0.01, 0.1))

    async def looked(self) -> None:
        """Wait until the judge has seen all that is there now."""
        looks = self._looks

        async def has_looked() -> bool:
            return self._looks > looks + 1

        await eventually(has_looked)

    async def settled(self, *, within: float = SETTLE_SECONDS) -> None:
        """Wait until state and copies are what the source says; the history is to go on again."""
        begin, looks = time.monotonic(), self._looks

        async def is_settled() -> bool:
            return self._looks > looks + 1 and await self._is_settled()

        try:
            await eventually(is_settled, within=within)
        except TimeoutError:
            self.checker.found("lost", f"not equal within {within:.0f} s: {self._told()}")
        self.longest = max(self.longest, time.monotonic() - begin)
        self.checker.whole()

    async def _is_settled(self) -> bool:
        if not self.checker.position or self.checker.tree != self.upstream.tree:
            return False
        seen = [await copy.seen() for copy in self.copies]
        return all(each and each.position == self.checker.position for each in seen)

    def _told(self) -> str:
        ended = {" ".join(each.words): each.err[-500:] for each in self.running}
        return f"state at {self.checker.position or 'nothing'}, logs end with {ended}"

    async def moved_to(self, server: Valkey) -> None:
        """Let the judge look at `server` from now on."""
        old, self.server, self.client = self.client, server, looking(server)
        self.checker.client = self.client
        await old.aclose()

    async def verdict(self) -> Verdict:
        """Judge everything once more, at rest; nobody looks any more."""
        await self._end_watching()
        await self.checker.final()
        if self.checker.tree != self.upstream.tree:
            self.checker.found("diverged", "the state is not what the source says")
        for copy in self.copies:
            await copy.final()
        return Verdict(self.checker.findings, self.longest)

    async def close(self) -> None:
        """End all processes."""
        for process in self.running:
            process.kill()
        await self._end_watching()
        await self.client.aclose()

    async def _end_watching(self) -> None:
        self._is_closed = True
        if self._watching is not None:
            await self._watching


@asynccontextmanager
async def opened(
    folder: Path,
    server: Valkey,
    *,
    kinds: Collection[Kind] = KINDS,
    categories: int = CATEGORIES,
    seed: int = 1,
    watched: bool = True,
    **judging: Any,
) -> AsyncIterator[World]:
    """Have a world around `server`, an empty one, with nothing started but source and judge.

    Who does not want it `watched` asks the judge to look.
    """
    world = World(folder, server, kinds, categories, seed, **judging)
    async with served(world.upstream):
        if watched:
            world.watch()
        try:
            yield world
        finally:
            await world.close()


def looking(server: Valkey) -> redis.asyncio.Redis:
    """Return the judge's client: after a lost connection it asks once more, and it does not wait long."""
    return redis.asyncio.Redis.from_url(
        server.url, protocol=2, socket_timeout=TIME_OUT, retry=Retry(NoBackoff(), 1)
    )
