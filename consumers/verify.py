"""Compares the copy of a projection with the state, and repairs it.

Both may change meanwhile, so they are compared only when they are at the same position; a copy that
lags gets some time to catch up. Three digests must be equal: that of the copy's rows, that of its
checkpoint, and that of the state.
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
CHECK_AGAIN_SECONDS: Final = 0.5
MOST_ROWS: Final = 20
"""So many different rows are listed; of the others only the number is given."""
REPAIRS: Final = 3
"""Attempts of a repair while a consumer changes the copy at the same time."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result for a copy at `position`.

    After a repair `differences` are those that were repaired.
    """

    position: str
    categories: int
    differences: Sequence[str]
    is_repaired: bool = False

    @property
    def outcome(self) -> str:
        """`different`, `repaired` (and equal now) or `equal`."""
        if self.is_repaired:
            return "repaired"
        return "different" if self.differences else "equal"


async def verify_projection(
    client: CatalogClient, projection: VerifiableProjection, *, within: float = CATCH_UP_SECONDS
) -> Verdict:
    """Compare the copy of `projection` with the state.

    A copy that lags has `within` seconds to catch up. A copy whose rows do not have the digest of
    its own checkpoint is different at once. Raises CannotCompare if there is no copy,
    PositionMismatch if it does not reach the state's position; and NoState, StoreError, RedisError.
    """
    end = time.monotonic() + within
    while True:
        try:
            return await _compare(client, projection)
        except PositionMismatch:
            if time.monotonic() > end:
                raise
        await asyncio.sleep(CHECK_AGAIN_SECONDS)


async def _compare(client: CatalogClient, projection: VerifiableProjection) -> Verdict:
    """Compare copy and state as they are now."""
    checkpoint, copy = await projection.read()
    if checkpoint is None:
        raise CannotCompare("the database has no checkpoint of it: has a consumer ever written it?")
    differences = _damage(copy, checkpoint)
    try:
        differences += await _compare_with_state(client, checkpoint, copy)
    except (NoState, PositionMismatch):
        if not differences:  # a damaged copy is different, whatever the state is
            raise
    return Verdict(checkpoint.position, len(copy), differences)


async def _compare_with_state(
    client: CatalogClient, checkpoint: Checkpoint, copy: Rows
) -> list[str]:
    """Return a line for each difference. Raises PositionMismatch, NoState, RedisError."""
    snapshot, state_checkpoint = await client.snapshot()
    own, its = checkpoint[:2], state_checkpoint[:2]  # epoch and sequence
    if own != its:
        raise PositionMismatch(
            f"the copy is at {checkpoint.position}, the state at {state_checkpoint.position}: "
            "is its consumer running?"
        )
    lines = list(_differences(copy, snapshot.rows))
    more = len(lines) - MOST_ROWS
    return lines[:MOST_ROWS] + ([f"and {more} more rows"] if more > 0 else [])


async def repair_projection(
    client: CatalogClient,
    projection: VerifiableProjection,
    found: Sequence[str],
    *,
    within: float = CATCH_UP_SECONDS,
) -> Verdict:
    """Reset `projection`, in which `found` are the differences, and compare again.

    Raises what `verify_projection` raises.
    """
    for _ in range(REPAIRS):
        try:
            await _reset(client, projection, within=within)
        except CheckpointConflict as error:
            log.warning("copy changed during the repair, trying again", reason=str(error))
        verdict = await verify_projection(client, projection, within=within)
        if not verdict.differences:
            return replace(verdict, differences=found, is_repaired=True)
    return verdict


async def _reset(client: CatalogClient, projection: VerifiableProjection, *, within: float) -> None:
    """Reset `projection` once it is at the state's position, or time is up.

    At the same position the checkpoint is not changed, and a running consumer goes on from it. A
    consumer that did not reach that position `within` seconds gets a conflict, and ends.
    """
    end = time.monotonic() + within
    while True:
        async with projection.database.reading() as connection:
            own = await projection.checkpoint.load(connection)
        snapshot, state_checkpoint = await client.snapshot()
        if own is not None and own.position == state_checkpoint.position:
            return await projection.reset(snapshot, own)
        if time.monotonic() > end:
            return await projection.reset(snapshot, state_checkpoint)
        await asyncio.sleep(CHECK_AGAIN_SECONDS)


def _damage(copy: Rows, checkpoint: Checkpoint) -> list[str]:
    """Return a line if the rows of `copy` do not have the digest of its `checkpoint`."""
    found = digest.of_state(copy.values())
    if found == checkpoint.digest:
        return []
    text = (
        f"the copy's rows have digest {found}, its checkpoint has {checkpoint.digest}: something "
        "else wrote to it; its consumer resyncs it at its next start, or use --repair"
    )
    return [text]


def _differences(copy: Rows, state: Rows) -> Iterator[str]:
    """Yield a line for each category that is not the same in `copy` and `state`."""
    for id_ in sorted(copy.keys() | state.keys()):
        mine, its = copy.get(id_), state.get(id_)
        name = escape_control_chars(id_)
        if mine is None and its is not None:
            yield f"missing: {name} {its.local_name!r}"
        elif its is None and mine is not None:
            yield f"unexpected: {name} {mine.local_name!r}"
        elif mine is not None and its is not None and mine != its:
            fields = zip(Category._fields, mine, its, strict=True)
            unlike = (f"{field} is {a!r}, in the state {b!r}" for field, a, b in fields if a != b)
            yield f"different: {name}: {'; '.join(unlike)}"
