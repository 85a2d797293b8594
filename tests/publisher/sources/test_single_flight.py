"""One run that several callers share, and what a cancellation does to it."""

import asyncio

import pytest

from publisher.sources.single_flight import SingleFlight


class Work:
    """Counts its runs; a run ends when `may_end` is set, and records a cancellation."""

    def __init__(self) -> None:
        self.started = 0
        self.may_end = asyncio.Event()
        self.was_cancelled = False

    async def __call__(self) -> int:
        """Return the number of this run."""
        self.started += 1
        number = self.started
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return number


async def start(work: Work, calls: SingleFlight[int], callers: int) -> list[asyncio.Task[int]]:
    """Let so many callers wait for `work`; return their tasks."""
    tasks = [asyncio.create_task(calls.share("a", work)) for _ in range(callers)]
    while not work.started:
        await asyncio.sleep(0)
    return tasks


async def test_concurrent_callers_share_one_run() -> None:
    """A later caller starts another one."""
    calls, work = SingleFlight[int](), Work()
    tasks = await start(work, calls, 5)
    work.may_end.set()
    assert await asyncio.gather(*tasks) == [1] * 5
    assert await calls.share("a", work) == 2


async def test_an_exception_is_shared_too() -> None:
    """The next call runs the work again."""
    calls = SingleFlight[int]()
    tries = []

    async def fail() -> int:
        tries.append(1)
        await asyncio.sleep(0)
        raise LookupError

    found = await asyncio.gather(
        *(calls.share("a", fail) for _ in range(3)), return_exceptions=True
    )
    assert [type(each) for each in found] == [LookupError] * 3
    assert len(tries) == 1
    with pytest.raises(LookupError):
        await calls.share("a", fail)


async def test_a_cancelled_caller_does_not_stop_the_run() -> None:
    """The others get its result."""
    calls, work = SingleFlight[int](), Work()
    first, second = await start(work, calls, 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.may_end.set()
    assert await second == 1


async def test_the_run_is_cancelled_with_its_last_caller() -> None:
    """A caller that comes just then starts another run, and is not cancelled."""
    calls, work = SingleFlight[int](), Work()
    tasks = await start(work, calls, 2)
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0)
    late = asyncio.create_task(calls.share("a", work))
    assert await asyncio.gather(*tasks, return_exceptions=True)
    assert work.was_cancelled
    work.may_end.set()
    assert await late == 2
