"""Reads a catalog from Redis: the one module here that knows keys (contract, 2).

During an outage reads are repeated until Redis answers. A consumer's checkpoint is the only thing
that is written, as a best effort. There are two Redis clients because in redis-py a timeout belongs
to a client: a server that hangs should be noticed soon, but reading a whole state takes its time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson
import redis.exceptions

from consumers.contract.event import Entry
from consumers.contract.model import Checkpoint, Snapshot
from consumers.contract.snapshot import Meta, decode_meta, decode_rows
from consumers.errors import BadEntry, NoState
from plumbing import logs
from plumbing.clock import now, rfc3339
from plumbing.config.settings import CommonSettings
from plumbing.edge_log import EdgeLog
from plumbing.outage_retry import OutageRetry
from plumbing.redis.embedded_mode import EmbeddedMode
from plumbing.redis.error_advice import is_transient_for_reads, is_wrong_type
from plumbing.redis.server import Client, Server, open_server

log = logs.logger(__name__)

T = TypeVar("T")

BATCH: Final = 5000
"""Entries of one read: about 2 MB, applied in one transaction. With fewer a consumer is slower;
with more, Redis is busy for too long. Measured: five reads of 1,000 entries took twice as long as
one of 5,000; Redis is busy for 0.7 ms with 1,000, 4 to 8 ms with 5,000, 20 ms with 10,000."""
START: Final = "0-0"
"""The offset before the first entry of any stream."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a client waits, in seconds."""

    block: float = 2.0
    """A read waits this long for events; a lost history is noticed no later."""
    reply: float = 10.0
    """A small reply may take this much longer before the connection counts as lost."""
    check_meta: float = 0.5
    """Time between two checks of `meta` while there is no state."""
    check_rows: float = 10.0
    """Time between two checks of damaged rows under the same `meta`: they may be many."""


TIMING: Final = Timing()


@asynccontextmanager
async def open_catalog(
    settings: CommonSettings, catalog: str, *, once: bool
) -> AsyncIterator["CatalogClient"]:
    """Open a client of `catalog` in the Redis of `settings`.

    If no embedded server runs, the client waits for it, or with `once` starts it (contract, 7).
    """
    mode = EmbeddedMode.START_IF_NEEDED if once else EmbeddedMode.WAIT
    async with open_server(settings, mode) as server, connect(server, catalog, once=once) as client:
        yield client


@asynccontextmanager
async def connect(
    server: Server, catalog: str, *, once: bool, timing: Timing = TIMING
) -> AsyncIterator["CatalogClient"]:
    """Open a client of `catalog` on `server`; closes its connections at the end.

    With `once` an outage or a missing state is an error; without it the client waits.
    """
    async with (
        aclosing(server.client()) as bulk,
        aclosing(server.client(timeout=timing.block + timing.reply)) as quick,
    ):
        yield CatalogClient(catalog, server, bulk, quick, timing, once=once)


class CatalogClient:
    """Reads one catalog's events and state. Opened by `open_catalog`.

    Without a state `read`, `entries_before` and `read_with_meta` raise NoState; `snapshot` and
    `last_entries` wait for one, or with `once` raise NoState too. All raise RedisError if Redis
    refuses, or with `once` if it is unavailable.
    """

    def __init__(
        self,
        catalog: str,
        server: Server,
        bulk: Client,
        quick: Client,
        timing: Timing,
        *,
        once: bool,
    ) -> None:
        self.catalog = catalog
        self._once = once
        self._server = server
        self._retry = OutageRetry("redis", server.address, is_transient_for_reads, once=once)
        self._bulk = bulk
        self._quick = quick
        self._timing = timing
        self._publishing = EdgeLog(log)
        self._categories, self._meta, self._events, self._consumers = (
            f"catalog:{{{catalog}}}:{key}" for key in ("categories", "meta", "events", "consumers")
        )

    async def read(self, offset: str, *, wait: bool) -> list[Entry]:
        """Return up to BATCH entries after `offset`; with `wait` wait for the first."""
        block_ms = round(self._timing.block * 1000) if wait else None
        reply = await self._call(lambda: self._quick.xread({self._events: offset}, BATCH, block_ms))
        return _entries_of_xread(reply)

    async def read_with_meta(self, offset: str) -> tuple[list[Entry], Meta]:
        """Return up to BATCH entries after `offset`, and `meta`, both of the same moment."""
        read, meta = await self._transaction(
            self._quick, lambda pipe: pipe.xread({self._events: offset}, BATCH).hgetall(self._meta)
        )
        return _entries_of_xread(read), self._decode_meta(meta)

    async def last_entries(self, count: int) -> tuple[list[Entry], Meta]:
        """Return the last `count` (at least 1) entries, oldest first, and `meta`."""

        async def request() -> tuple[list[Entry], Meta]:
            newest_first, meta = await self._transaction(
                self._bulk,
                lambda pipe: pipe.xrevrange(self._events, count=count).hgetall(self._meta),
            )
            return _entries(reversed(newest_first)), self._decode_meta(meta)

        return await self._wait_for_state(request)

    async def entries_before(self, offset: str, count: int) -> list[Entry]:
        """Return the last `count` (at least 1) entries before `offset`, oldest first."""
        newest_first: Any = await self._call(
            lambda: self._quick.xrevrange(self._events, max=f"({offset}", count=count)
        )
        return _entries(reversed(newest_first))

    async def snapshot(self) -> tuple[Snapshot, Checkpoint]:
        """Return the whole state, checked against its digest, and its checkpoint.

        The checkpoint's offset is the stream's last entry: whatever the stream holds at that moment
        is part of the snapshot, or is not an event.
        """

        def whole(pipe: Any) -> Any:
            meta_and_rows = pipe.hgetall(self._meta).hgetall(self._categories)
            return meta_and_rows.xrevrange(self._events, count=1)

        async def request() -> tuple[Snapshot, Checkpoint]:
            self._decode_meta(await self._read_meta())  # if this fails, no rows need to be read
            raw, hash_, newest = await self._transaction(self._bulk, whole)
            meta = self._decode_meta(raw)
            offset = newest[0][0].decode() if newest else meta.offset
            checkpoint = Checkpoint(meta.epoch, meta.sequence, offset, meta.digest)
            try:
                rows = decode_rows(hash_, meta)
            except BadEntry as error:
                text = f"the state of catalog {self.catalog} is damaged: {error}"
                raise NoState(text, raw) from None
            return Snapshot(rows, meta.committed_at), checkpoint

        return await self._wait_for_state(request)

    async def _wait_for_state(self, request: Callable[[], Awaitable[T]]) -> T:
        """Repeat `request` until it raises no NoState; with `once` call it only once."""
        edge = EdgeLog(log)
        while True:
            try:
                return await request()
            except NoState as error:
                if self._once:
                    raise
                edge.down("no valid state, waiting", catalog=self.catalog, reason=str(error))
                await self._wait_for_change(error.meta)

    async def _wait_for_change(self, meta: Mapping[bytes, bytes] | None) -> None:
        """Wait until `meta` has changed, or until it is time to check the rows again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timing.check_rows):
                while await self._is_unchanged(meta):
                    await asyncio.sleep(self._timing.check_meta)

    async def _is_unchanged(self, meta: Mapping[bytes, bytes] | None) -> bool:
        try:
            return meta is None or await self._read_meta() == meta
        except NoState:
            return not meta  # it is not a hash, as before

    async def publish_checkpoint(self, name: str, checkpoint: Checkpoint) -> bool:
        """Write the checkpoint of consumer `name` (contract, 2); return whether it worked."""
        value = {**checkpoint._asdict(), "updated_at": rfc3339(now())}
        try:
            await self._quick.hset(self._consumers, name, orjson.dumps(value).decode())
        except (redis.exceptions.RedisError, OSError) as error:
            if not is_transient_for_reads(error):  # an outage is logged by the next read
                self._publishing.down("checkpoint not published, continuing", error=str(error))
            return False
        self._publishing.up("checkpoint published again")
        return True

    async def _read_meta(self) -> dict[bytes, bytes]:
        (meta,) = await self._transaction(self._quick, lambda pipe: pipe.hgetall(self._meta))
        return dict(meta)

    async def _transaction(self, client: Client, commands: Callable[[Any], Any]) -> Any:
        """Return the replies to `commands`, all of the same moment (MULTI/EXEC).

        `commands` gets a pipeline, and queues commands in it.
        """

        async def request() -> Any:
            async with client.pipeline(transaction=True) as pipeline:
                return await commands(pipeline).execute()

        return await self._call(request)

    async def _call(self, request: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `request`, which is repeated during an outage."""
        try:
            return await self._retry.call(request)
        except (redis.exceptions.RedisError, OSError) as error:
            if is_wrong_type(error):
                raise NoState(
                    f"{self._categories}, {self._meta} or {self._events} holds a value of another "
                    "type: something else writes to this catalog's keys"
                ) from error
            raise self._server.error(error) from error

    def _decode_meta(self, meta: Mapping[bytes, bytes]) -> Meta:
        if not meta:
            raise NoState(
                f"catalog {self.catalog} is not in Redis: has a publisher polled it yet?", meta
            )
        try:
            return decode_meta(meta)
        except BadEntry as error:
            raise NoState(f"{self._meta}: {error}", meta) from None


def _entries_of_xread(reply: Any) -> list[Entry]:
    return _entries(reply[0][1]) if reply else []


def _entries(pairs: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> list[Entry]:
    return [Entry(offset.decode(), fields.get(b"event")) for offset, fields in pairs]
