"""The benchmarks: what is measured, its floor, and the allowed ratio."""

from typing import Final, NamedTuple


class Benchmark(NamedTuple):
    """What is measured, and its floor.

    Ours divided by the floor must be at most `bar`; we want `aim`. A row without
    both is only for information.
    """

    name: str
    floor: str
    bar: float | None
    aim: float | None
    unit: str = "s"


RAW_SOCKET: Final = (
    "a raw socket sends the same arguments, encoded before, as MULTI, HSET, XADD, EXEC"
)
LOADS: Final = "`orjson.loads` of the body, in a process of its own"
SQLITE_EVENTS: Final = "XREAD COUNT 1000, orjson, executemany, no checks"
SQLITE_STATE: Final = "HGETALL, orjson, executemany, no checks"
BARE_EVENT: Final = "bare XADD → XREAD"

FIRST_IMPORT: Final = Benchmark(
    "first import, body in memory → commit acknowledged", RAW_SOCKET, 2.5, 1.5
)
SAME_BYTES: Final = Benchmark("poll, nothing changed, same `data` bytes", LOADS, 0.5, 0.15)
OTHER_ORDER: Final = Benchmark(
    "poll, nothing changed, other order, other permission statuses", LOADS, 1.5, 0.6
)
ONE_PERCENT: Final = Benchmark("poll with 1 % changed", LOADS, 2.0, 0.8)
READ_AGAIN: Final = Benchmark("poll after a commit, which reads the state again", LOADS, None, None)
CATCH_UP: Final = Benchmark("catch-up into SQLite, all checks on", SQLITE_EVENTS, 1.6, 1.15)
RESET: Final = Benchmark("reset from the state into SQLite", SQLITE_STATE, 1.6, 1.15)
LATENCY_P50: Final = Benchmark(
    "one change among 2,700 categories: commit → handler, p50", BARE_EVENT, 1.5, 1.1
)
LATENCY_P99: Final = Benchmark(
    "one change among 2,700 categories: commit → handler, p99", BARE_EVENT, 2.0, 1.3
)
REDIS_MEMORY: Final = Benchmark(
    "Redis memory, state and events", "plain HSET and XADD of the same bytes", 1.1, 1.02, "bytes"
)
PEAK: Final = Benchmark(
    "publisher's peak memory over idle, first import and polls",
    "the body's size",
    12.0,
    5.0,
    "bytes",
)
SCALED_TIME: Final = Benchmark("first import of 200,000", "of 20,000", 11.0, 10.0)
SCALED_MEMORY: Final = Benchmark("peak memory of 200,000", "of 20,000", 11.0, 10.0, "bytes")
BLOCKED: Final = Benchmark(
    "the server is blocked by a commit", "the same commands in EXEC", 1.5, 1.1
)
IDLE_SCRIPT: Final = Benchmark(
    "the server is blocked by a script that gets the same arguments and does nothing",
    BLOCKED.floor,
    None,
    None,
)
BARE_SCRIPT: Final = Benchmark(
    "the server is blocked by a script that writes the same events and rows without any check",
    BLOCKED.floor,
    None,
    None,
)
SYNC: Final = Benchmark(
    "`sync`, nothing changed, 2,700 categories, whole process",
    "an interpreter that imports aiohttp, redis.asyncio, orjson, pydantic-settings",
    1.8,
    1.3,
)
