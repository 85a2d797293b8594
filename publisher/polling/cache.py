"""The cache of states and snapshots that makes a poll without changes cheap.

It has each catalog's state, used only while the server confirms that nobody has touched the keys
(`key_watch`), and its last snapshot, used only for an answer with the same bytes. So it is never
wrong: without the server's confirmation the state is loaded and checked (contract, 5.3).
"""

from collections import OrderedDict
from dataclasses import replace
from typing import Final, NamedTuple

from publisher.core.snapshot import Decoder, Snapshot
from publisher.sources import Answer
from publisher.state.key_watch import KeyWatch
from publisher.state.store import PollStart, State, Store

MOST_CATEGORIES: Final = 200_000
"""The limit for all catalogs together: one very large tree, or about 70 of today's markets. The
catalogs that were polled the longest ago are evicted first; their next poll reads all again."""
MOST_CATALOGS: Final = 100
"""Each of them keeps a connection open."""


class _WatchedState(NamedTuple):
    state: State
    watch: KeyWatch


class CatalogCache:
    """The cache of one catalog; without `keeps`, for a single poll, it keeps nothing."""

    def __init__(self, store: Store, *, keeps: bool) -> None:
        self._store = store
        self._keeps = keeps
        self._decoder = Decoder()
        self._watched: _WatchedState | None = None

    @property
    def size(self) -> int:
        """The number of cached categories."""
        trees = [self._decoder.last, self._watched and self._watched.state]
        return max(len(each.tree) if each else 0 for each in trees)

    def decode(self, answer: Answer) -> Snapshot:
        """Return the snapshot in `answer`. Raises BadSnapshot."""
        return self._decoder.decode(answer.body, bare_list=answer.bare_list)

    async def read_state(self, start: PollStart) -> State:
        """Return the state as it is now, after `start` was read. Raises WrongType.

        The next watch starts before the last one ends, so no change is missed in between.
        """
        watch = await self._store.watch() if self._keeps else None
        try:
            state = await self._if_unchanged(start) or await self._store.load()
        except BaseException:
            if watch is not None:
                await watch.close()
            raise
        if watch is not None and self._keeps and self._watched is None:
            self._watched = _WatchedState(state, watch)
        elif watch is not None:  # closed meanwhile, or another poll has put its state here
            await watch.close()
        return state

    async def _if_unchanged(self, start: PollStart) -> State | None:
        """Take the state out of the cache; return it if it is certainly the current one.

        `start` was read over another connection: after a failover perhaps from another server.
        """
        watched, self._watched = self._watched, None
        if watched is None or not await watched.watch.finish_unchanged():
            return None
        is_current = watched.state.stored_position == start.stored_position
        return watched.state if is_current else None

    def share_tree(self, snapshot: Snapshot, state: State) -> None:
        """Keep one tree instead of two, if `snapshot` equals the cached `state`.

        The snapshot's tree is kept, since the next answer probably has the same order. The Redis
        hash has any, and to compare trees of different orders takes twice as long.
        """
        if self._watched is not None and self._watched.state is state:
            self._watched = self._watched._replace(state=replace(state, tree=snapshot.tree))

    async def close(self) -> None:
        """Drop everything, and cache nothing from now on."""
        self._keeps = False
        watched, self._watched, self._decoder = self._watched, None, Decoder()
        if watched is not None:
            await watched.watch.close()


class StateCache:
    """The cache of all catalogs, limited in size."""

    def __init__(self) -> None:
        self._catalogs: OrderedDict[str, CatalogCache] = OrderedDict()

    def get_or_create(self, store: Store) -> CatalogCache:
        """Return the cache of the catalog of `store`; it is now the last to be evicted."""
        cached = self._catalogs.pop(store.catalog, None) or CatalogCache(store, keeps=True)
        self._catalogs[store.catalog] = cached
        return cached

    async def evict(self) -> None:
        """Close the caches that were used the longest ago until the limits are kept."""
        while (
            len(self._catalogs) > MOST_CATALOGS
            or sum(each.size for each in self._catalogs.values()) > MOST_CATEGORIES
        ):
            _, oldest = self._catalogs.popitem(last=False)
            await oldest.close()

    async def aclose(self) -> None:
        """Close the caches of all catalogs; for `contextlib.aclosing`."""
        while self._catalogs:
            _, each = self._catalogs.popitem()
            await each.close()
