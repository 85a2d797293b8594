"""`orjson.loads` of a body, in a process of its own: another heap makes it slower.

python -m bench.json_loads FILE     # prints seconds for each line of standard input
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
async def timed_loads(body: bytes) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """Yield a function that parses `body` once and returns the seconds."""
    with tempfile.NamedTemporaryFile(prefix="cpb-") as file:
        file.write(body)
        file.flush()
        command = (sys.executable, "-m", "bench.json_loads", file.name)
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
        stdin: Any = process.stdin
        stdout: Any = process.stdout

        async def seconds() -> float:
            stdin.write(b"\n")
            return float(await stdout.readline())

        try:
            yield seconds
        finally:
            stdin.close()
            await process.wait()


def main() -> None:
    """Measure once per line of standard input; freeing the result is not measured."""
    body = Path(sys.argv[1]).read_bytes()
    for _ in sys.stdin:
        start = time.perf_counter()
        parsed = orjson.loads(body)
        print(time.perf_counter() - start, flush=True)
        del parsed


if __name__ == "__main__":
    main()
