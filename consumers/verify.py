"""Holds a projection's copy against the state, tells in which rows they differ, and repairs it.

Both may move meanwhile, so they are compared where they stand at the same place in history, and
a copy that is behind gets some time to come there. Three digests have to agree: that of the
copy's rows, that of its checkpoint, and that of the state.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from consumers.contract import digest
from consumers.contract.model import Category, Checkpoint, Rows
from consumers.errors import CannotCompare, CheckpointConflict, NoState, PositionMismatch
from consumers.following.catalog_client import CatalogClient
from consumers.sql.projection import VerifiableProjection
from plumbing import logs
from plumbing.text import escape_control_chars

log = logs.logger(__name__)

CATCH_UP_SECONDS: Final = 10.0
LOOK_AGAIN_SECONDS: Final = 0.5
MOST_ROWS: Final = 20
"""How many rows that differ are told one by one."""
REPAIRS: Final = 3
"""How often a repair begins anew where a consumer moves the copy meanwhile."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out for a copy at `position`; once it is repaired, what the differences were."""

    position: str
    categories: int
    differences: Sequence[str]
    is_repaired: bool = False

    @property
    def outcome(self) -> str:
        """Say it in a word: `different`, `repaired` (and equal now) or `equal`."""
        if self.is_repaired:
            return "repaired"
        return "different" if self.differences else "equal"


async def verify_projection(
    stream: CatalogClient, projection: VerifiableProjection, *, within: float = CATCH_UP_SECONDS
) -> Verdict:
    """Compare the copy of `projection` with the state, giving it `within` seconds to catch up.

    A copy that does not have the digest of its own checkpoint is different at once. Raises
    CannotCompare if there is no copy, PositionMismatch if it does not come to where the state
    is; and NoState, StoreError, RedisError.
    """
    end = time.monotonic() + within
    while True:
        checkpoint, copy = await _read(projection)
        damage = _damage(copy, checkpoint)
        try:
            snapshot, state = await stream.snapshot()
        except NoState:
            if damage:
                return Verdict(checkpoint.position, len(copy), damage)
            raise
        is_comparable = (checkpoint.epoch, checkpoint.sequence) == (state.epoch, state.sequence)
        if is_comparable or damage:
            rows = _differences(copy, snapshot.rows) if is_comparable else ()
            return Verdict(checkpoint.position, len(copy), damage + _shortened(list(rows)))
        if time.monotonic() > end:
            raise PositionMismatch(
                f"the copy is at {checkpoint.position}, the state at {state.position}: "
                "does its consumer run?"
            )
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def repair_projection(
    stream: CatalogClient,
    projection: VerifiableProjection,
    found: Sequence[str],
    *,
    within: float = CATCH_UP_SECONDS,
) -> Verdict:
    """Reset `projection`, in which `found` are the differences, and compare again.

    Raises what `verify_projection` does.
    """
    for _ in range(REPAIRS):
        try:
            await _reset(stream, projection, within=within)
        except CheckpointConflict as error:
            log.warning("the copy was moved meanwhile, looking again", reason=str(error))
        verdict = await verify_projection(stream, projection, within=within)
        if not verdict.differences:
            return replace(verdict, differences=found, is_repaired=True)
    return verdict


async def _reset(stream: CatalogClient, projection: VerifiableProjection, *, within: float) -> None:
    """Reset `projection` from the state, once the two are at the same place or time is up.

    At the same place the checkpoint stays as it is, and a consumer that runs goes on from it. A
    consumer that did not come there `within` seconds would find its store taken, and end.
    """
    end = time.monotonic() + within
    while True:
        async with projection.database.reading() as connection:
            own = await projection.checkpoint.load(connection)
        snapshot, state = await stream.snapshot()
        if own is not None and own.position == state.position:
            return await projection.reset(snapshot, own)
        if time.monotonic() > end:
            return await projection.reset(snapshot, state)
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def _read(projection: VerifiableProjection) -> tuple[Checkpoint, Rows]:
    checkpoint, copy = await projection.read()
    if checkpoint is None:
        raise CannotCompare("the database has no checkpoint of it: has a consumer ever written it?")
    return checkpoint, copy


def _damage(copy: Rows, checkpoint: Checkpoint) -> list[str]:
    found = digest.of_state(copy.values())
    if found == checkpoint.digest:
        return []
    told = f"the copy's rows have digest {found}, its checkpoint says {checkpoint.digest}"
    advice = "something else wrote to it; its consumer makes it anew when it starts, or --repair"
    return [f"{told}: {advice}"]


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
            yield f"different: {escape_control_chars(id_)}: {unlike} in the state"


def _told(category: Category) -> str:
    return f"{escape_control_chars(category.id)} {category.local_name!r}"


def _shortened(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_ROWS
    return lines if more <= 0 else [*lines[:MOST_ROWS], f"and {more} more rows"]
