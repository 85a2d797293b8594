"""A poll that is repeated after a lost race, and whose result is recorded."""

import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import redis.exceptions
import stamina

from plumbing import clock, logs
from plumbing.errors import Error, RedisError
from plumbing.redis.server import Server
from publisher.core.model import Counts
from publisher.errors import Held, NoHold, RaceLost, SourceError
from publisher.polling.poll import Catalog, PollResult, approve, poll_once

log = logs.logger(__name__)

NextDue = Callable[[datetime, Error | None], datetime]
"""Returns when the next poll is due, given the start of this one and the error that ended it."""
OnUnwritten = Callable[[RedisError], None]
"""Called with the reason if a poll's status could not be written."""

REPEAT_AFTER_RACE: Final = stamina.AsyncRetryingCaller(
    attempts=4, timeout=None, wait_max=1.0, wait_jitter=0.5
)
"""A poll that loses a race is repeated, three times (contract, 7)."""


async def poll_and_record(
    catalog: Catalog,
    server: Server,
    *,
    accept_origin: bool = False,
    next_due: NextDue | None = None,
    on_unwritten: OnUnwritten | None = None,
) -> PollResult:
    """Poll `catalog` once and write its status. Raises Error if the poll fails.

    Without `next_due` the next poll is due an interval after this one; without `on_unwritten` a
    status that could not be written is logged.
    """
    poll = partial(poll_once, catalog, accept_origin=accept_origin)
    return await _record(catalog, server, poll, next_due, on_unwritten)


async def approve_and_record(catalog: Catalog, server: Server, digest: str) -> PollResult:
    """Approve the hold with `digest` and write the status. Raises Error."""
    return await _record(catalog, server, partial(approve, catalog, digest))


def earliest_retry(started_at: datetime, error: Error | None) -> datetime:
    """Return the earliest time for the next poll after one that began at `started_at`.

    Later than `started_at` if the source said with `error` how long to wait.
    """
    not_before = error.not_before if isinstance(error, SourceError) else 0.0
    return started_at + timedelta(seconds=not_before)


async def _record(
    catalog: Catalog,
    server: Server,
    poll: Callable[[], Awaitable[PollResult]],
    next_due: NextDue | None = None,
    on_unwritten: OnUnwritten | None = None,
) -> PollResult:
    started_at, monotonic_start = clock.now(), time.monotonic()
    error: Error | None = None
    try:
        with server.explain_errors():
            result = await REPEAT_AFTER_RACE(RaceLost, poll)
    except (Held, NoHold):
        raise  # a refused approval writes only the hold (contract, 6)
    except Error as failure:
        error, outcome, counts = failure, "failed", Counts()
    else:
        outcome, counts = result.outcome, result.counts
    default_due = max(started_at + catalog.poll_every, earliest_retry(started_at, error))
    status = {
        "outcome": outcome,
        "error": str(error or ""),
        **{name: str(number) for name, number in counts._asdict().items()},
        "polled_at": clock.rfc3339(started_at),
        "duration_ms": str(round((time.monotonic() - monotonic_start) * 1000)),
        "next_poll_at": clock.rfc3339(next_due(started_at, error) if next_due else default_due),
    }
    if outcome in {"changed", "unchanged"}:
        status["succeeded_at"] = status["polled_at"]
    try:
        await catalog.store.write_status(status)
    except (redis.exceptions.RedisError, OSError) as refusal:
        if not isinstance(error, RedisError):  # which is raised below and says that Redis fails
            reason = server.error(refusal)
            if on_unwritten:
                on_unwritten(reason)
            else:
                log.warning("status not written", catalog=catalog.name, error=str(reason))
    if error is not None:
        raise error
    return result
