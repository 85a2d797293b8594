"""What a publisher keeps of its catalogs between two polls, so that finding nothing new is cheap.

Of each catalog the state, for as long as the server vouches that nobody has touched it (`watch`),
and the last snapshot, by the bytes that said it. Neither can be wrong: where the server gives no
word the state is loaded and checked as ever (contract, 5.3), and the same bytes say the same.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from publisher.core.snapshot import Decoder, Snapshot
from publisher.sources import Answer
from publisher.state.key_watch import KeyWatch
from publisher.state.store import PollStart, State, Store

MOST_CATEGORIES: Final = 200_000
"""Of all catalogs: one of the largest, or some 70 markets of today. Those polled the longest ago
are forgotten first, and their next poll reads all again."""
MOST_CATALOGS: Final = 100
"""Each keeps a connection."""


@dataclass(frozen=True)
class _Kept:
    state: State
    watch: KeyWatch


class CatalogCache:
    """What is kept of one catalog; nothing, for a single poll, unless it `keeps`."""

    def __init__(self, store: Store, *, keeps: bool) -> None:
        self._store = store
        self._keeps = keeps
        self._decoder = Decoder()
        self._kept: _Kept | None = None

    @property
    def size(self) -> int:
        """How many categories are kept."""
        trees = [self._decoder.last, self._kept and self._kept.state]
        return max(len(each.tree) if each else 0 for each in trees)

    def decode(self, answer: Answer) -> Snapshot:
        """Return the snapshot that `answer` holds. Raises BadSnapshot."""
        return self._decoder.decode(answer.body, bare_list=answer.bare_list)

    async def read_state(self, noted: PollStart) -> State:
        """Return the state as it is now, after `noted` was read. Raises WrongType.

        The next watch begins before the last one ends, so there is no moment without.
        """
        watch = await self._store.watch() if self._keeps else None
        try:
            state = await self._if_unchanged(noted) or await self._store.load()
        except BaseException:
            if watch is not None:
                await watch.close()
            raise
        if watch is not None and self._keeps and self._kept is None:
            self._kept = _Kept(state, watch)
        elif watch is not None:  # it was forgotten meanwhile, or another poll keeps one
            await watch.close()
        return state

    async def _if_unchanged(self, noted: PollStart) -> State | None:
        """Return what was kept if it is what stands there; it is kept no more.

        `noted` came over another connection: after a failover perhaps from another server.
        """
        kept, self._kept = self._kept, None
        if kept is None or not await kept.watch.finish_unchanged():
            return None
        return kept.state if kept.state.stored_position == noted.stored_position else None

    def share_tree(self, snapshot: Snapshot, state: State) -> None:
        """Take note that `snapshot` is `state`: one tree of the two is enough to keep.

        It is the snapshot's: the next answer comes in the same order, as far as one knows. The hash
        has any, and what is looked at in another order than it was made takes twice as long.
        """
        if self._kept is not None and self._kept.state is state:
            self._kept = replace(self._kept, state=replace(state, tree=snapshot.tree))

    async def forget(self) -> None:
        """Keep nothing, from now on."""
        self._keeps = False
        kept, self._kept, self._decoder = self._kept, None, Decoder()
        if kept is not None:
            await kept.watch.close()


class StateCache:
    """What is kept of all catalogs."""

    def __init__(self) -> None:
        self._catalogs: OrderedDict[str, CatalogCache] = OrderedDict()

    def of(self, store: Store) -> CatalogCache:
        """Return what is kept of the catalog of `store`, whose turn it is."""
        if store.catalog not in self._catalogs:
            self._catalogs[store.catalog] = CatalogCache(store, keeps=True)
        self._catalogs.move_to_end(store.catalog)
        return self._catalogs[store.catalog]

    async def evict(self) -> None:
        """Forget what is too much."""
        while self._is_too_much():
            _, oldest = self._catalogs.popitem(last=False)
            await oldest.forget()

    async def forget(self) -> None:
        """Forget all, and give all connections back."""
        while self._catalogs:
            _, each = self._catalogs.popitem()
            await each.forget()

    def _is_too_much(self) -> bool:
        sizes = [each.size for each in self._catalogs.values()]
        return sum(sizes) > MOST_CATEGORIES or len(sizes) > MOST_CATALOGS


@asynccontextmanager
async def open_cache() -> AsyncIterator[StateCache]:
    """Give a cache, for as long as the context lasts."""
    cache = StateCache()
    try:
        yield cache
    finally:
        await cache.forget()
