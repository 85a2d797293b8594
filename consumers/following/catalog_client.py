"""A catalog in Redis as a consumer sees it: the one module here that knows keys (contract, 2).

Its questions are asked until Redis answers (`patience`), except for the one thing that a consumer
writes, which is best effort. There are two clients because redis-py's time-out belongs to a
client: a server that hangs should be noticed soon, but a whole state takes its time.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson
import redis.exceptions

import plumbing.redis.server
from consumers.contract.event import Entry
from consumers.contract.model import Checkpoint, Snapshot
from consumers.contract.snapshot import Meta, decode_meta, decode_rows
from consumers.errors import BadEntry, NoState
from plumbing import logs
from plumbing.clock import now, rfc3339
from plumbing.config.settings import CommonSettings
from plumbing.outage_retry import OutageRetry
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.error_advice import is_transient_for_reads, is_wrong_type
from plumbing.redis.server import Client, Server, Transaction

log = logs.logger(__name__)

T = TypeVar("T")

BATCH: Final = 5000
"""Entries of one read: some 2 MB and one transaction. Five of a thousand entries write much the
same pages of a database, and took twice as long. Redis is busy for 4 to 8 ms with such a read (0.7
with a thousand, and 20 with ten thousand)."""
START: Final = "0-0"
"""Before the first entry of any stream."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How patiently one looks, in seconds."""

    block: float = 2.0
    """How long a read waits for events, and so how long a lost history can go unnoticed."""
    reply: float = 10.0
    """What a small answer may take beyond that before the connection counts as lost."""
    check_meta: float = 0.5
    """Between two looks at `meta` where there is no state."""
    check_rows: float = 10.0
    """Between two looks at damaged rows under the same `meta`: they may be many."""


TIMING: Final = Timing()


@asynccontextmanager
async def open_catalog(
    settings: CommonSettings, catalog: str, *, once: bool
) -> AsyncIterator["CatalogClient"]:
    """Follow `catalog` in the Redis of `settings`.

    The embedded server is waited for, or with `once` started if need be (contract, 7).
    """
    async with (
        plumbing.redis.server.open_server(
            settings, EmbeddedMode.START_IF_NEEDED if once else EmbeddedMode.WAIT
        ) as server,
        connect(server, catalog, once=once) as stream,
    ):
        yield stream


@asynccontextmanager
async def connect(
    server: Server, catalog: str, *, once: bool, timing: Timing = TIMING
) -> AsyncIterator["CatalogClient"]:
    """Follow `catalog` on `server` for as long as the context lasts.

    With `once` an outage or a missing state is an error; without, it is waited for.
    """
    client = server.client()
    quick = server.client(timeout=timing.block + timing.reply)
    try:
        yield CatalogClient(catalog, server, client, quick, timing, once=once)
    finally:
        await client.aclose()
        await quick.aclose()


class CatalogClient:
    """One catalog's events and state. Get one with `connect`.

    `read`, `entries_before` and `read_with_meta` raise NoState where there is no
    state; `snapshot` and `last_entries` wait
    for it, or with `once` raise that too. All raise RedisError where Redis refuses, or with `once`
    cannot be reached.
    """

    def __init__(
        self,
        catalog: str,
        server: Server,
        client: Client,
        quick: Client,
        timing: Timing,
        *,
        once: bool,
    ) -> None:
        self.catalog = catalog
        self._once = once
        self._server = server
        self._retry = OutageRetry("redis", server.address, is_transient_for_reads, once=once)
        self._client = client
        self._quick = quick
        self._timing = timing
        self._is_mute = False
        self._categories, self._meta, self._events, self._consumers = (
            f"catalog:{{{catalog}}}:{key}" for key in ("categories", "meta", "events", "consumers")
        )

    async def read(self, offset: str, *, wait: bool) -> list[Entry]:
        """Return up to BATCH entries behind `offset`; `wait` a while for the first one, or not."""
        block_ms = round(self._timing.block * 1000) if wait else None

        async def question() -> Any:
            return await self._quick.xread({self._events: offset}, BATCH, block_ms)

        return _entries_of_read(await self._ask(question))

    async def read_with_meta(self, offset: str) -> tuple[list[Entry], Meta]:
        """Return up to BATCH entries behind `offset`, and `meta` at the same moment."""
        read, meta = await self._at_once(
            self._quick,
            lambda pipeline: pipeline.xread({self._events: offset}, BATCH),
            lambda pipeline: pipeline.hgetall(self._meta),
        )
        return _entries_of_read(read), self._decode(meta)

    async def last_entries(self, count: int) -> tuple[list[Entry], Meta]:
        """Return the last `count` (at least 1) entries, oldest first, and `meta` with them."""

        async def question() -> tuple[list[Entry], Meta]:
            newest_first, meta = await self._at_once(
                self._client,
                lambda pipeline: pipeline.xrevrange(self._events, count=count),
                lambda pipeline: pipeline.hgetall(self._meta),
            )
            return _entries(reversed(newest_first)), self._decode(meta)

        return await self._when_there(question)

    async def entries_before(self, offset: str, count: int) -> list[Entry]:
        """Return the last `count` (at least 1) entries before `offset`, oldest first."""

        async def question() -> Any:
            return await self._quick.xrevrange(self._events, max=f"({offset}", count=count)

        return _entries(reversed(await self._ask(question)))

    async def snapshot(self) -> tuple[Snapshot, Checkpoint]:
        """Return the whole state, intact, and the checkpoint of who has it.

        One reads on behind the stream's last entry: what is in the stream at the moment of the
        snapshot is in the snapshot too, or is no event.
        """
        return await self._when_there(self._snapshot)

    async def _snapshot(self) -> tuple[Snapshot, Checkpoint]:
        self._decode(await self._read_meta())  # if that fails, the rows need not be read
        raw, hash_, newest = await self._at_once(
            self._client,
            lambda pipeline: pipeline.hgetall(self._meta),
            lambda pipeline: pipeline.hgetall(self._categories),
            lambda pipeline: pipeline.xrevrange(self._events, count=1),
        )
        meta = self._decode(raw)
        offset = newest[0][0].decode() if newest else meta.offset
        checkpoint = Checkpoint(meta.epoch, meta.sequence, offset, meta.digest)
        try:
            rows = decode_rows(hash_, meta)
        except BadEntry as error:
            raise NoState(f"the state of catalog {self.catalog} is damaged: {error}", raw) from None
        return Snapshot(rows, meta.committed_at), checkpoint

    async def _when_there(self, question: Callable[[], Awaitable[T]]) -> T:
        waits = False
        while True:
            try:
                return await question()
            except NoState as error:
                if self._once:
                    raise
                if not waits:
                    log.warning("waiting for a state", catalog=self.catalog, reason=str(error))
                waits = True
                await self._change(error.meta)

    async def _change(self, meta: Mapping[bytes, bytes] | None) -> None:
        """Wait until `meta` is another one, or long enough for another look at the rows."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timing.check_rows):
                while await self._is_still(meta):
                    await asyncio.sleep(self._timing.check_meta)

    async def _is_still(self, meta: Mapping[bytes, bytes] | None) -> bool:
        try:
            return meta is None or await self._read_meta() == meta
        except NoState:
            return not meta  # no hash, and neither was there one before

    async def publish_checkpoint(self, name: str, checkpoint: Checkpoint) -> bool:
        """Show how far consumer `name` is (contract, 2); return whether Redis let it."""
        value = {**checkpoint._asdict(), "updated_at": rfc3339(now())}
        try:
            await self._quick.hset(self._consumers, name, orjson.dumps(value).decode())
        except (redis.exceptions.RedisError, OSError) as error:
            # of an outage the next read tells
            if not self._is_mute and not is_transient_for_reads(error):
                self._is_mute = True
                log.warning("redis does not take the checkpoint, going on", error=str(error))
            return False
        if self._is_mute:
            self._is_mute = False
            log.info("redis takes the checkpoint again")
        return True

    async def _read_meta(self) -> dict[bytes, bytes]:
        (meta,) = await self._at_once(self._quick, lambda pipeline: pipeline.hgetall(self._meta))
        return dict(meta)

    async def _at_once(
        self, client: Client, *commands: Callable[[Transaction], object]
    ) -> list[Any]:
        """Return the replies to `commands`, all of the same moment (MULTI/EXEC)."""

        async def question() -> list[Any]:
            async with client.pipeline(transaction=True) as pipeline:
                for command in commands:
                    command(pipeline)
                return await pipeline.execute()

        return await self._ask(question)

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self._retry.call(question)
        except (redis.exceptions.RedisError, OSError) as error:
            if is_wrong_type(error):
                raise NoState(
                    f"{self._categories}, {self._meta} or {self._events} holds a value of another "
                    "type: something else writes to this catalog's keys"
                ) from error
            raise self._server.error(error) from error

    def _decode(self, meta: Mapping[bytes, bytes]) -> Meta:
        if not meta:
            raise NoState(
                f"catalog {self.catalog} is not in Redis: has a publisher polled it yet?", meta
            )
        try:
            return decode_meta(meta)
        except BadEntry as error:
            raise NoState(f"{self._meta}: {error}", meta) from None


def _entries_of_read(reply: Any) -> list[Entry]:
    return _entries(reply[0][1]) if reply else []


def _entries(pairs: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> list[Entry]:
    return [Entry(offset.decode(), fields.get(b"event")) for offset, fields in pairs]
