"""`orjson.loads` of a body, in a process of its own: the heap of another one makes it slower.

python -m bench.loads FILE     # a time in seconds for each line of standard input
"""

import asyncio
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson

ROOT: Final = Path(__file__).parents[1]


@asynccontextmanager
async def of(body: bytes) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """Give what measures how long it takes, in seconds."""
    with tempfile.NamedTemporaryFile(prefix="cpb-") as file:
        file.write(body)
        file.flush()
        words = (sys.executable, "-m", "bench.loads", file.name)
        process = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stdin=PIPE, stdout=PIPE)
        asked: Any = process.stdin
        told: Any = process.stdout

        async def seconds() -> float:
            asked.write(b"\n")
            return float(await told.readline())

        try:
            yield seconds
        finally:
            asked.close()
            await process.wait()


def main() -> None:
    """Measure as often as asked; dropping what was made is not in it."""
    body = Path(sys.argv[1]).read_bytes()
    for _ in sys.stdin:
        begin = time.perf_counter()
        found = orjson.loads(body)
        print(time.perf_counter() - begin, flush=True)
        del found


if __name__ == "__main__":
    main()
