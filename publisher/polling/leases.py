"""Leases: which of several publishers polls which catalog (contract, 1 and 2).

They spread the catalogs evenly and let others take over from a publisher that died, so that each
catalog is polled once an interval. They are never what makes a write safe (contract, 5.3): two
owners at once cost a call to the source and nothing else. That is why plain GET, SET and PEXPIRE
do, with a moment between the look and the deed, and no lock, no script, no list of publishers:

- who finds a lease free takes it, up to a fair share; what nobody took by the next round, anyone;
- who has fewer than the busiest takes some away from it, as Kinesis' consumers do, until they have
  the same. Whoever lost a lease learns it in its next round.

A round is a sixth of the lease time, and a lease in Redis lasts six tenths of it: so two rounds
after it ran out, which is within the lease time, somebody else has it.
"""

import math
import random
from collections import Counter
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
"""Name of a catalog → what Redis replied, which may be an error."""

ROUNDS: Final = 6
"""Rounds in a lease time."""
LASTS: Final = 0.6
"""Share of the lease time after which a lease that nobody renews is free."""
AT_ONCE: Final = 1000
"""Leases asked about in one go."""
FREE: Final = ""
DEAD: Final = "dead"
"""In place of an owner that lives no more, though its lease still does."""


class Plan(NamedTuple):
    """What a publisher does about the leases that it saw."""

    keep: list[str]
    take: list[str]
    """Free ones."""
    steal: list[str]
    """Others' ones."""


def plan(owners: Mapping[str, str], me: str, waiting: Collection[str]) -> Plan:
    """Decide what `me` does, seeing the owner of each catalog's lease (FREE or DEAD: none).

    `waiting`: those that were free a round ago already, so that nobody else wants them.
    """
    keep = [name for name, owner in owners.items() if owner == me]
    free = [name for name, owner in owners.items() if owner in {FREE, DEAD}]
    others: dict[str, list[str]] = {}
    for name, owner in owners.items():
        if owner not in {FREE, DEAD, me}:
            others.setdefault(owner, []).append(name)
    share = math.ceil(len(owners) / (len(others) + 1))
    random.shuffle(free)
    free.sort(key=lambda name: name not in waiting)
    take = free[: max(share - len(keep), sum(name in waiting for name in free))]
    return Plan(keep, take, _surplus(others, len(keep) + len(take)))


def _surplus(others: Mapping[str, list[str]], mine: int) -> list[str]:
    """Return leases of the busiest others, until none has two more than `mine` and those."""
    stolen: list[str] = []
    left = Counter({owner: len(names) for owner, names in others.items()})
    hats = {owner: random.sample(names, len(names)) for owner, names in others.items()}
    while left:
        busiest, count = left.most_common(1)[0]
        if count - (mine + len(stolen)) <= 1:
            break
        stolen.append(hats[busiest].pop())
        left[busiest] -= 1
    return stolen


class Leases:
    """The leases of one publisher."""

    def __init__(self, client: Client, time: timedelta, owner: str = "") -> None:
        self.owner = owner or new_owner()
        self.round_every = time / ROUNDS
        self._lasts = time * LASTS
        self._client = client
        self._until: dict[str, float] = {}
        self._waiting: set[str] = set()

    def holds(self, name: str) -> bool:
        """Tell whether the lease of `name` is held: not if this process slept too long."""
        return self._until.get(name, 0.0) > monotonic()

    def held(self) -> set[str]:
        """Return the catalogs whose leases are held."""
        return {name for name in self._until if self.holds(name)}

    async def round(self, names: Iterable[str]) -> None:
        """Renew the leases of `names` that are ours, take free ones, and what makes it even.

        Raises redis-py's error if one could not be read or written, having done the others.
        """
        until = monotonic() + self._lasts.total_seconds()
        owners, unread = await self._owners(names)
        planned = plan(owners, self.owner, self._waiting)
        free = [name for name in planned.take if owners[name] == FREE]
        others = [*planned.steal, *(name for name in planned.take if owners[name] == DEAD)]
        self._waiting = {name for name, owner in owners.items() if owner in {FREE, DEAD}}
        me, lasts = self.owner, self._lasts
        written = (
            await self._each(planned.keep, lambda pipe, key: pipe.pexpire(key, lasts)),
            await self._each(free, lambda pipe, key: pipe.set(key, me, px=lasts, nx=True)),
            await self._each(others, lambda pipe, key: pipe.set(key, me, px=lasts)),
        )
        done = {name for replies in written for name, reply in replies.items() if reply is True}
        self._until = {name: self._until[name] for name in unread if name in self._until}
        self._until |= dict.fromkeys(done | _of_another_type(unread), until)
        _raise_first(unread, *written)

    async def release(self, names: Iterable[str]) -> None:
        """Free the leases of `names` that are ours, so that nobody has to wait for their end."""
        owners, _ = await self._owners(names)
        for name in owners:
            self._until.pop(name, None)
        ours = [name for name, owner in owners.items() if owner == self.owner]
        _raise_first(await self._each(ours, lambda pipe, key: pipe.delete(key)))

    async def _owners(self, names: Iterable[str]) -> tuple[dict[str, str], Replies]:
        """Return each lease's owner, or FREE or DEAD, and the errors of those that gave one."""
        replies = await self._each(names, lambda pipe, key: pipe.get(key))
        errors = {name: each for name, each in replies.items() if isinstance(each, Exception)}
        owners = {name: as_text(each) for name, each in replies.items() if name not in errors}
        return {name: _alive(who) for name, who in owners.items()}, errors

    async def _each(self, names: Iterable[str], command: Callable[[Any, str], object]) -> Replies:
        """Return the reply to one command for each of `names`, or its error."""
        found: Replies = {}
        for chunk in chunks(list(names), AT_ONCE):
            async with self._client.pipeline(transaction=False) as pipe:
                for name in chunk:
                    command(pipe, keys.key(name, "lease"))
                replies = await pipe.execute(raise_on_error=False)
            found |= zip(chunk, replies, strict=True)
        return found


def _alive(owner: str) -> str:
    return owner if owner == FREE or is_alive(owner) else DEAD


def _of_another_type(errors: Replies) -> set[str]:
    """Return the catalogs whose lease is none of ours: they are polled without."""
    return {name for name, error in errors.items() if is_wrong_type(error)}


def _raise_first(*replies: Replies) -> None:
    for reply in (each for some in replies for each in some.values()):
        if isinstance(reply, Exception) and not is_wrong_type(reply):
            raise reply
