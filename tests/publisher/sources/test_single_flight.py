"""Work that several share, and what a cancellation does to it."""

import asyncio

import pytest

from publisher.sources.single_flight import SingleFlight


class Work:
    """Counts how often it begins; ends when told to, and notes if it was cancelled."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()
        self.was_cancelled = False

    async def __call__(self) -> int:
        """Return the number of this run."""
        self.begun += 1
        number = self.begun
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return number


async def begun(work: Work, flights: SingleFlight[int], waiters: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(flights.share("a", work)) for _ in range(waiters)]
    while not work.begun:
        await asyncio.sleep(0)
    return tasks


async def test_who_comes_meanwhile_shares() -> None:
    """And who comes afterwards begins anew."""
    flights, work = SingleFlight[int](), Work()
    tasks = await begun(work, flights, 5)
    work.may_end.set()
    assert await asyncio.gather(*tasks) == [1] * 5
    assert await flights.share("a", work) == 2


async def test_a_failure_is_shared_too() -> None:
    """Once; the next call tries again."""
    flights = SingleFlight[int]()
    tries = []

    async def fail() -> int:
        tries.append(1)
        await asyncio.sleep(0)
        raise LookupError

    found = await asyncio.gather(
        *(flights.share("a", fail) for _ in range(3)), return_exceptions=True
    )
    assert [type(each) for each in found] == [LookupError] * 3
    assert len(tries) == 1
    with pytest.raises(LookupError):
        await flights.share("a", fail)


async def test_who_leaves_takes_nothing_away() -> None:
    """The work goes on for those who stay."""
    flights, work = SingleFlight[int](), Work()
    first, second = await begun(work, flights, 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.may_end.set()
    assert await second == 1


async def test_the_last_to_leave_ends_it() -> None:
    """And whoever comes just then begins anew, and is not cancelled with it."""
    flights, work = SingleFlight[int](), Work()
    tasks = await begun(work, flights, 2)
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0)
    late = asyncio.create_task(flights.share("a", work))
    assert await asyncio.gather(*tasks, return_exceptions=True)
    assert work.was_cancelled
    work.may_end.set()
    assert await late == 2
