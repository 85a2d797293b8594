"""A story of one catalog in which a bug of ours shows, told with processes of a copy of our code."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final, TypeAlias

from tests.faults.processes import is_stopped
from tests.faults.upstream import another, grown, row, without_leaves
from tests.faults.world import World
from tests.support import kill_points
from tests.support.contract import ORIGIN, digest_of
from tests.support.paths import ROOT
from tests.support.processes import CONSUMER, PUBLISHER, environment
from tests.support.redis_servers import asked
from tests.support.waiting import eventually

EVENTS: Final = "catalog:{us}:events"
SECONDS: Final = 60.0

Chapter: TypeAlias = Callable[["Story"], Awaitable[None]]


@dataclass(frozen=True)
class Story:
    """What happens to one catalog, with the processes of the code in `code`."""

    world: World
    code: Path
    numbers: Iterator[int] = field(default_factory=count)

    async def told(self, chapters: Iterable[Chapter]) -> None:
        """Import, and then what `chapters` tell, until the judge has a finding."""
        await self._polled()
        for chapter in chapters:
            if not self.world.checker.findings:
                await chapter(self)

    async def _polled(self) -> None:
        await self._sync()
        await self._followed()

    async def _followed(self) -> None:
        (copy,) = self.world.copies
        await self.world.checker.look()
        await self._run(CONSUMER, *copy.kind.command, "us", "--to", copy.url, "--once")
        await copy.look()

    async def a_branch_comes_and_goes(self) -> None:
        """Add a branch, take its root away from above it, and then the rest."""
        upstream, chance = self.world.upstream, self.world.chance
        without = another(upstream.tree, chance)
        branch = [row("b1", "0", "Branch"), row("b2", "b1", "Twig"), row("b3", "b2", "Leaf")]
        upstream.becomes(without | {each["id"]: each for each in branch})
        await self._polled()
        upstream.becomes(without | {"b2": row("b2", "0", "Twig"), "b3": branch[2]})
        await self._polled()
        upstream.becomes(without)
        await self._polled()

    async def raced(self) -> None:
        """Let one publisher commit while another one stands right before its commit."""
        await self._passed_at("before EVALSHA")

    async def overtaken(self) -> None:
        """Let it commit while the other has its snapshot, and has not loaded the state yet."""
        await self._passed_at("before MULTI HGETALL HGETALL EXEC")

    async def _passed_at(self, point: str) -> None:
        world = self.world
        await world.changes(1)
        points = await self._sync()
        last = len(points) - points[::-1].index(point)
        await world.changes(1)
        first = await self._begun("tests.faults.stop_at_point", *self._armed(last))
        await eventually(lambda: stands(first))
        await world.changes(1)
        await self._polled()
        first.send_signal(signal.SIGCONT)
        await self._ended(first)
        await self._polled()

    async def without_an_event(self) -> None:
        """Delete an event by hand between two that a consumer has not read yet."""
        world = self.world
        await world.changes(1)
        await self._sync()
        await world.checker.look()
        world.checker.broken("an event is deleted", by_hand=True)
        newest = asked(world.server, "XREVRANGE", EVENTS, "+", "-", "COUNT", "2")
        asked(world.server, "XDEL", EVENTS, newest[-1][0])
        await self._followed()
        world.checker.whole()

    async def implausible(self) -> None:
        """Have the source lack one leaf too many, and most of its tree; nothing of that is to arrive."""
        world = self.world
        good = world.upstream.tree
        for bad in (without_leaves(good, 21), grown(20, world.chance)):
            world.upstream.becomes(bad)
            await self._polled()
        world.upstream.becomes(good)
        await self._polled()

    async def approved(self) -> None:
        """Approve what is held when the source gives something else, as implausible."""
        world = self.world
        good, held = world.upstream.tree, grown(20, world.chance)
        world.upstream.becomes(held)
        await self._sync()
        world.checker.approved(digest_of(held))
        world.upstream.becomes(grown(20, world.chance))
        await self._run(PUBLISHER, "approve", "us", digest_of(held))
        await self._followed()
        world.upstream.becomes(good)
        await self._polled()

    async def damaged_and_implausible(self) -> None:
        """Edit a row by hand, too: a repair is no way around the guard."""
        world = self.world
        world.checker.broken("a row is deleted", by_hand=True)
        asked(world.server, "HDEL", "catalog:{us}:categories", "1")
        await self.implausible()
        world.checker.whole()

    async def damaged(self) -> None:
        """Delete rows by hand that others hang under: they come back first."""
        world = self.world
        world.checker.broken("rows are deleted", by_hand=True)
        asked(world.server, "HDEL", "catalog:{us}:categories", "2", "3", "4", "5")
        await world.changes(1)
        await self._polled()
        world.checker.whole()

    async def of_another_origin(self) -> None:
        """Accept another origin; from then on it is the catalog's."""
        world = self.world
        world.settings = 'locale = "de-DE"\n'
        world.checker.origins = [ORIGIN | {"locale": "de-DE"}]
        await world.changes(1)
        await self._run(PUBLISHER, "sync", "us", "--accept-origin")
        await self._polled()

    async def emptied(self) -> None:
        """Wipe Redis, and let a consumer see that before a publisher mends it."""
        self.world.checker.broken("wiped")
        asked(self.world.server, "FLUSHALL")
        await self._followed()
        await self._polled()
        self.world.checker.whole()

    async def _sync(self) -> list[str]:
        """Poll once; return the points that were passed."""
        words = self._armed(0)
        await self._run("tests.faults.stop_at_point", *words)
        return kill_points.points(Path(words[0]))

    def _armed(self, point: int) -> tuple[str, ...]:
        folder = str(self.world.folder / f"notes-{next(self.numbers)}")
        Path(folder).mkdir()
        return folder, str(point), PUBLISHER, "sync"

    async def _run(self, module: str, *words: str) -> None:
        """Run a command of the code to its end, whatever that is."""
        await self._ended(await self._begun(module, *words))

    async def _begun(self, module: str, *words: str) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *words),
            cwd=self.world.configured(),
            env=environment({"PYTHONPATH": f"{self.code}{os.pathsep}{ROOT}"}),
            stdout=DEVNULL,
            stderr=DEVNULL,
        )

    async def _ended(self, process: Process) -> None:
        async with asyncio.timeout(SECONDS):
            await process.wait()


async def stands(process: Process) -> bool:
    """Tell whether it is stopped."""
    return is_stopped(process.pid)


CHAPTERS: Final[Sequence[Chapter]] = (
    Story.a_branch_comes_and_goes,
    Story.raced,
    Story.overtaken,
    Story.without_an_event,
    Story.implausible,
    Story.approved,
    Story.damaged_and_implausible,
    Story.damaged,
    Story.of_another_origin,
    Story.emptied,
)
"""The whole story."""
