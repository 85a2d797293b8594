"""A poll as it is recorded: races tried again, and its outcome in the catalog's status."""

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
from publisher.polling import poll as rounds
from publisher.polling.poll import Catalog, PollResult

log = logs.logger(__name__)

Due = Callable[[datetime, Error | None], datetime]
"""From a poll's beginning, and what it failed of, to when the next is due."""
Unwritten = Callable[[RedisError], None]
"""Told why the status could not be written after a poll that needed no other word of Redis."""

POLLS_OF_A_LOSER: Final = 4
"""Who loses a race polls again, three times (contract, 7)."""


async def poll_and_record(
    catalog: Catalog,
    server: Server,
    *,
    accept_origin: bool = False,
    due: Due | None = None,
    unwritten: Unwritten | None = None,
) -> PollResult:
    """Poll `catalog` once and record what came of it. Raises Error.

    `due` says when the next poll is; without, an interval after this one. `unwritten` is told if
    that could not be recorded; without, the log is.
    """
    once = partial(rounds.poll_once, catalog, accept_origin=accept_origin)
    due = due or partial(_an_interval_later, catalog)
    return await _recorded(catalog, server, once, due, unwritten or partial(_log, catalog))


async def approve_and_record(catalog: Catalog, server: Server, digest: str) -> PollResult:
    """Approve what is held, and record that as the poll that it is. Raises Error."""
    once = partial(rounds.approve, catalog, digest)
    due = partial(_an_interval_later, catalog)
    return await _recorded(catalog, server, once, due, partial(_log, catalog))


def earliest_retry(begun: datetime, error: Error | None) -> datetime:
    """Return before when another poll is pointless, after one that `error` ended."""
    not_before = error.not_before if isinstance(error, SourceError) else 0.0
    return begun + timedelta(seconds=not_before)


def _an_interval_later(catalog: Catalog, begun: datetime, error: Error | None) -> datetime:
    return max(begun + catalog.poll_every, earliest_retry(begun, error))


def _log(catalog: Catalog, error: RedisError) -> None:
    log.warning("status was not written", catalog=catalog.name, error=str(error))


async def _recorded(
    catalog: Catalog,
    server: Server,
    once: Callable[[], Awaitable[PollResult]],
    due: Due,
    unwritten: Unwritten,
) -> PollResult:
    begun, begin = clock.now(), time.monotonic()
    try:
        with server.explain_errors():
            polled = await _without_races(once)
    except (Held, NoHold):
        raise  # an approval that came too late writes nothing but the hold (contract, 6)
    except Error as error:
        status = _status("failed", Counts(), str(error)) | _times(begun, begin, due(begun, error))
        refused = await _tell(catalog, server, status)
        if refused and not isinstance(error, RedisError):  # else that says it already
            unwritten(refused)
        raise
    status = _status(polled.outcome, polled.counts, "")
    if polled.outcome != "held":
        status["succeeded_at"] = clock.rfc3339(begun)
    refused = await _tell(catalog, server, status | _times(begun, begin, due(begun, None)))
    if refused:
        unwritten(refused)
    return polled


async def _without_races(once: Callable[[], Awaitable[PollResult]]) -> PollResult:
    async for attempt in stamina.retry_context(
        on=RaceLost, attempts=POLLS_OF_A_LOSER, timeout=None, wait_max=1.0, wait_jitter=0.5
    ):
        with attempt:
            polled = await once()
    return polled


def _status(outcome: str, counts: Counts, error: str) -> dict[str, str]:
    changes = {name: str(number) for name, number in counts._asdict().items()}
    return {"outcome": outcome, "error": error, **changes}


def _times(begun: datetime, begin: float, next_poll: datetime) -> dict[str, str]:
    return {
        "polled_at": clock.rfc3339(begun),
        "duration_ms": str(round((time.monotonic() - begin) * 1000)),
        "next_poll_at": clock.rfc3339(next_poll),
    }


async def _tell(catalog: Catalog, server: Server, status: dict[str, str]) -> RedisError | None:
    """Write the status; return why that was refused, since a poll is done all the same."""
    try:
        await catalog.store.write_status(status)
    except (redis.exceptions.RedisError, OSError) as error:
        return server.error(error)
    return None
