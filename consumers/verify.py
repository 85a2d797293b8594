"""Holds a copy against the state, and tells in which rows they differ.

Both may move meanwhile, so they are compared where they stand at the same place in history, and
a copy that is behind gets some time to come there. Three digests have to agree: that of the
copy's rows, that of its checkpoint, and that of the state.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from consumers import digest
from consumers.errors import CannotCompare, NoState
from consumers.mirror import Mirror
from consumers.model import Category, Checkpoint, Rows
from consumers.stream import Stream
from plumbing.terminal import harmless

CATCH_UP_SECONDS: Final = 10.0
LOOK_AGAIN_SECONDS: Final = 0.5
MOST_ROWS: Final = 20
"""How many rows that differ are told one by one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out for a copy at `position`: they are equal if there is no difference to tell."""

    position: str
    categories: int
    differences: list[str]


async def verify(stream: Stream, mirror: Mirror, *, within: float = CATCH_UP_SECONDS) -> Verdict:
    """Compare the copy of `mirror` with the state, giving it `within` seconds to catch up.

    A copy that does not have the digest of its own checkpoint is different at once. Raises
    CannotCompare if there is no copy, or if it does not come to where the state is; and NoState,
    StoreError, RedisError.
    """
    end = time.monotonic() + within
    while True:
        checkpoint, copy = await mirror.read()
        if checkpoint is None:
            raise CannotCompare("the database has no checkpoint: has a mirror ever written to it?")
        damage = _damage(copy, checkpoint)
        try:
            snapshot, state = await stream.snapshot()
        except NoState:
            if damage:
                return Verdict(checkpoint.position, len(copy), damage)
            raise
        if (checkpoint.epoch, checkpoint.sequence) == (state.epoch, state.sequence):
            rows = _shortened(list(_differences(copy, snapshot.rows)))
            return Verdict(checkpoint.position, len(copy), damage + rows)
        if damage:
            return Verdict(checkpoint.position, len(copy), damage)
        if time.monotonic() > end:
            raise CannotCompare(
                f"the copy is at {checkpoint.position}, the state at {state.position}: "
                "does the mirror run?"
            )
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


def _damage(copy: Rows, checkpoint: Checkpoint) -> list[str]:
    found = digest.of_state(copy.values())
    if found == checkpoint.digest:
        return []
    told = f"the copy's rows have digest {found}, its checkpoint says {checkpoint.digest}"
    return [f"{told}: something else wrote to it; a mirror makes it anew when it starts"]


def _differences(copy: Rows, state: Rows) -> Iterator[str]:
    for id_ in sorted(copy.keys() | state.keys()):
        mine, its = copy.get(id_), state.get(id_)
        if mine is None and its is not None:
            yield f"missing: {_told(its)}"
        elif its is None and mine is not None:
            yield f"unexpected: {_told(mine)}"
        elif mine is not None and its is not None and mine != its:
            fields = zip(Category._fields, mine, its, strict=True)
            unlike = ", ".join(f"{name} {a!r} is {b!r}" for name, a, b in fields if a != b)
            yield f"different: {harmless(id_)}: {unlike} in the state"


def _told(category: Category) -> str:
    return f"{harmless(category.id)} {category.local_name!r}"


def _shortened(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_ROWS
    return lines if more <= 0 else [*lines[:MOST_ROWS], f"and {more} more rows"]
