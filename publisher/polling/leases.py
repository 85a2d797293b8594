"""Leases: which of several publishers polls which catalog (contract, 1 and 2).

They spread the catalogs evenly, and let the others take over from a publisher that died. They are
never what makes a write safe (contract, 5.3): two owners at once cost a call to the source and
nothing else. So GET, SET, PEXPIRE and DEL are enough, with time in between, and no lock, no script
and no list of publishers are needed:

- A publisher takes free leases up to a fair share, and those that nobody took by the next round.
- A publisher with fewer leases than the busiest one takes some from it until they have the same, as
  Kinesis' consumers do. The publisher that lost a lease learns that in its next round.

A round is a sixth of the lease time, and a lease in Redis expires after six tenths of it. So within
the lease time, two rounds after the expiry, another publisher has it.
"""

import math
import random
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from time import monotonic
from typing import Any, Final, NamedTuple

from plumbing.redis.error_advice import is_wrong_type
from plumbing.redis.replies import as_text, chunks
from plumbing.redis.server import Client
from publisher.polling.lease_owner import is_alive, new_owner
from publisher.state import keys

Replies = dict[str, Any]
"""Name of a catalog → the reply of Redis, which may be an error."""

ROUNDS: Final = 6
"""Rounds in a lease time."""
EXPIRY: Final = 0.6
"""The share of the lease time after which a lease that is not renewed expires."""
AT_ONCE: Final = 1000
"""Leases read or written in one pipeline."""
FREE: Final = ""
DEAD: Final = "dead"
"""Replaces an owner that is not alive, though its lease has not expired."""


class Plan(NamedTuple):
    """What a publisher does in a round."""

    keep: list[str]
    take_free: list[str]
    """Leases without an owner that is alive."""
    take_from_others: list[str]
    """Leases of other publishers."""


def plan(owners: Mapping[str, str], me: str, waiting: Collection[str]) -> Plan:
    """Return what `me` does, given the owners of all leases (may be FREE or DEAD).

    `waiting` are the leases that were free in the last round already: nobody else takes them.
    """
    others: dict[str, list[str]] = {me: [], FREE: [], DEAD: []}
    for name, owner in owners.items():
        others.setdefault(owner, []).append(name)
    keep, free = others.pop(me), others.pop(FREE) + others.pop(DEAD)
    share = math.ceil(len(owners) / (len(others) + 1))
    random.shuffle(free)
    free.sort(key=lambda name: name not in waiting)
    # a fair share, but at least all that nobody took in the last round
    take_free = free[: max(share - len(keep), sum(name in waiting for name in free))]
    mine, take_from_others = len(keep) + len(take_free), list[str]()
    shuffled = [random.sample(names, len(names)) for names in others.values()]
    # take until nobody else has two leases more than we
    while len(busiest := max(shuffled, key=len, default=[])) > mine + len(take_from_others) + 1:
        take_from_others.append(busiest.pop())
    return Plan(keep, take_free, take_from_others)


class Leases:
    """The leases of one publisher."""

    def __init__(self, client: Client, lease_time: timedelta, owner: str = "") -> None:
        self.owner = owner or new_owner()
        self.round_every = lease_time / ROUNDS
        self._expiry = lease_time * EXPIRY
        self._client = client
        self._until: dict[str, float] = {}
        self._waiting: set[str] = set()

    def holds(self, name: str) -> bool:
        """Return whether the lease of `name` is held and has not expired."""
        return self._until.get(name, 0.0) > monotonic()

    def held(self) -> set[str]:
        """Return the catalogs whose leases are held."""
        return {name for name in self._until if self.holds(name)}

    async def round(self, names: Iterable[str]) -> None:
        """Renew our leases of `names`, and take others up to a fair share.

        Raises redis-py's error if a lease could not be read or written, after it did the others.
        """
        until = monotonic() + self._expiry.total_seconds()
        owners, unread = await self._read_owners(names)
        planned = plan(owners, self.owner, self._waiting)
        free = [name for name in planned.take_free if owners[name] == FREE]
        dead = [name for name in planned.take_free if owners[name] == DEAD]
        others = [*planned.take_from_others, *dead]
        self._waiting = {name for name, owner in owners.items() if owner in {FREE, DEAD}}
        me, expiry = self.owner, self._expiry
        # Renewed ones, free ones (unless somebody was faster), and those that have another owner.
        written = (
            await self._send_each(planned.keep, lambda pipe, key: pipe.pexpire(key, expiry)),
            await self._send_each(free, lambda pipe, key: pipe.set(key, me, px=expiry, nx=True)),
            await self._send_each(others, lambda pipe, key: pipe.set(key, me, px=expiry)),
        )
        # Leases that Redis confirmed are ours until `until`; unread ones stay as they were.
        ours = {name for replies in written for name, reply in replies.items() if reply is True}
        # A key of another type can hold no lease: such catalogs are polled without one.
        ours |= {name for name, error in unread.items() if is_wrong_type(error)}
        self._until = {name: self._until[name] for name in unread if name in self._until}
        self._until |= dict.fromkeys(ours, until)
        _raise_first(unread, *written)

    async def release(self, names: Iterable[str]) -> None:
        """Delete our leases of `names`, so that nobody has to wait until they expire."""
        owners, _ = await self._read_owners(names)
        for name in owners:
            self._until.pop(name, None)
        ours = [name for name, owner in owners.items() if owner == self.owner]
        _raise_first(await self._send_each(ours, lambda pipe, key: pipe.delete(key)))

    async def _read_owners(self, names: Iterable[str]) -> tuple[dict[str, str], Replies]:
        """Return each lease's owner, FREE or DEAD, and the errors by name."""
        replies = await self._send_each(names, lambda pipe, key: pipe.get(key))
        errors = {name: reply for name, reply in replies.items() if isinstance(reply, Exception)}
        owners = {name: as_text(replies[name]) for name in replies if name not in errors}
        dead = {name for name, owner in owners.items() if owner != FREE and not is_alive(owner)}
        return owners | dict.fromkeys(dead, DEAD), errors

    async def _send_each(
        self, names: Iterable[str], command: Callable[[Any, str], object]
    ) -> Replies:
        """Send one command for the lease of each of `names`; return the replies or errors."""
        found: Replies = {}
        for chunk in chunks(list(names), AT_ONCE):
            async with self._client.pipeline(transaction=False) as pipe:
                for name in chunk:
                    command(pipe, keys.key(name, "lease"))
                replies = await pipe.execute(raise_on_error=False)
            found |= zip(chunk, replies, strict=True)
        return found


def _raise_first(*replies: Replies) -> None:
    """Raise the first error in `replies`, except for keys of another type."""
    for reply in (each for some in replies for each in some.values()):
        if isinstance(reply, Exception) and not is_wrong_type(reply):
            raise reply
