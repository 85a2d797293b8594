"""What is measured, what it is measured beside, and how it has to come out."""

from typing import Final, NamedTuple


class Bar(NamedTuple):
    """A work and its floor: ours over the floor is at most `bar`, better `aim`.

    Where both are None the row is for information.
    """

    work: str
    floor: str
    bar: float | None
    aim: float | None
    unit: str = "s"


BARE: Final = "a raw socket sends the same words, encoded beforehand, as MULTI, HSET, XADD, EXEC"
LOADS: Final = "`orjson.loads` of the body, in a process of its own"
SQLITE_EVENTS: Final = "XREAD COUNT 1000, orjson, executemany, no checks"
SQLITE_STATE: Final = "HGETALL, orjson, executemany, no checks"
ONE_WORD: Final = "bare XADD → XREAD"

FIRST_IMPORT: Final = Bar("first import, body in memory → commit acknowledged", BARE, 2.5, 1.5)
SAME_BYTES: Final = Bar("poll, nothing changed, same `data` bytes", LOADS, 0.5, 0.15)
OTHER_ORDER: Final = Bar(
    "poll, nothing changed, other order, other permission statuses", LOADS, 1.5, 0.6
)
ONE_PERCENT: Final = Bar("poll with 1 % changed", LOADS, 2.0, 0.8)
READ_BACK: Final = Bar("poll after a commit, which reads the state back", LOADS, None, None)
CATCH_UP: Final = Bar("catch-up into SQLite, all checks on", SQLITE_EVENTS, 1.6, 1.15)
RESET: Final = Bar("reset from the state into SQLite", SQLITE_STATE, 1.6, 1.15)
LATENCY_P50: Final = Bar(
    "one change among 2,700 categories: commit → handler, p50", ONE_WORD, 1.5, 1.1
)
LATENCY_P99: Final = Bar(
    "one change among 2,700 categories: commit → handler, p99", ONE_WORD, 2.0, 1.3
)
REDIS_MEMORY: Final = Bar(
    "Redis memory, state and events", "plain HSET and XADD of the same bytes", 1.1, 1.02, "bytes"
)
PEAK: Final = Bar(
    "publisher's peak memory over idle, first import and polls",
    "the body's size",
    12.0,
    5.0,
    "bytes",
)
SCALED_TIME: Final = Bar("first import of 200,000", "of 20,000", 11.0, 10.0)
SCALED_MEMORY: Final = Bar("peak memory of 200,000", "of 20,000", 11.0, 10.0, "bytes")
BLOCKED: Final = Bar("the server is blocked by a commit", "the same commands in EXEC", 1.5, 1.1)
HANDED: Final = Bar(
    "the server is blocked by a script that is only handed these words", BLOCKED.floor, None, None
)
SCRIPTED: Final = Bar(
    "the server is blocked by a script that writes the same events and rows, and asks nothing",
    BLOCKED.floor,
    None,
    None,
)
SYNC: Final = Bar(
    "`sync`, nothing changed, 2,700 categories, whole process",
    "an interpreter that imports aiohttp, redis.asyncio, orjson, pydantic-settings",
    1.8,
    1.3,
)
