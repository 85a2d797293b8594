"""What happens to one catalog, run with the processes of a copy of our code."""

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

from tests.faults.changing_source import changed_tree, random_tree, row, without_leaves
from tests.faults.processes import is_stopped
from tests.faults.system import System
from tests.support import kill_points
from tests.support.contract import ORIGIN, digest_of
from tests.support.paths import ROOT
from tests.support.processes import CONSUMER, PUBLISHER, environment
from tests.support.redis_servers import execute_on
from tests.support.waiting import PATIENCE, eventually

EVENTS: Final = "catalog:{us}:events"

Step: TypeAlias = Callable[["Scenario"], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """Steps that happen to a catalog, with the processes of the code in `code`."""

    system: System
    code: Path
    numbers: Iterator[int] = field(default_factory=count)

    async def run(self, steps: Iterable[Step]) -> None:
        """Import, then do `steps`, until the checker has a finding."""
        await self._poll_and_follow()
        for step in steps:
            if not self.system.checker.findings:
                await step(self)

    async def _poll_and_follow(self) -> None:
        await self._sync()
        await self._follow()

    async def _follow(self) -> None:
        (projection,) = self.system.projections
        await self.system.checker.check()
        await self._run(CONSUMER, *projection.kind.command, "us", "--to", projection.url, "--once")
        await projection.check()

    async def branch_added_and_removed(self) -> None:
        """Add a branch, remove its root, then remove the rest."""
        source, rng = self.system.source, self.system.rng
        without = changed_tree(source.tree, rng)
        branch = [row("b1", "0", "Branch"), row("b2", "b1", "Twig"), row("b3", "b2", "Leaf")]
        source.serve_tree(without | {each["id"]: each for each in branch})
        await self._poll_and_follow()
        source.serve_tree(without | {"b2": row("b2", "0", "Twig"), "b3": branch[2]})
        await self._poll_and_follow()
        source.serve_tree(without)
        await self._poll_and_follow()

    async def raced(self) -> None:
        """Commit while another publisher is stopped just before its own commit."""
        await self._overtake_at("before EVALSHA")

    async def overtaken(self) -> None:
        """Commit while another publisher has its snapshot but has not loaded the state."""
        await self._overtake_at("before MULTI HGETALL HGETALL EXEC")

    async def _overtake_at(self, point: str) -> None:
        system = self.system
        await system.change(1)
        points = await self._sync()
        last = len(points) - points[::-1].index(point)
        await system.change(1)
        first = await self._start("tests.faults.stop_at_point", *self._stop_arguments(last))
        await eventually(lambda: is_process_stopped(first))
        await system.change(1)
        await self._poll_and_follow()
        first.send_signal(signal.SIGCONT)
        await self._wait(first)
        await self._poll_and_follow()

    async def event_deleted(self) -> None:
        """Delete an event that a consumer has not read, between two others."""
        system = self.system
        await system.change(1)
        await self._sync()
        await system.checker.check()
        system.checker.allow_break("an event is deleted", by_hand=True)
        newest = execute_on(system.server, "XREVRANGE", EVENTS, "+", "-", "COUNT", "2")
        execute_on(system.server, "XDEL", EVENTS, newest[-1][0])
        await self._follow()
        system.checker.end_break()

    async def implausible(self) -> None:
        """Serve a tree without 21 leaves, then a small one: none may be committed."""
        system = self.system
        good = system.source.tree
        for bad in (without_leaves(good, 21), random_tree(20, system.rng)):
            system.source.serve_tree(bad)
            await self._poll_and_follow()
        system.source.serve_tree(good)
        await self._poll_and_follow()

    async def approved(self) -> None:
        """Approve a held tree while the source serves another implausible one."""
        system = self.system
        good, held = system.source.tree, random_tree(20, system.rng)
        system.source.serve_tree(held)
        await self._sync()
        system.checker.allow_digest(digest_of(held))
        system.source.serve_tree(random_tree(20, system.rng))
        await self._run(PUBLISHER, "approve", "us", digest_of(held))
        await self._follow()
        system.source.serve_tree(good)
        await self._poll_and_follow()

    async def damaged_and_implausible(self) -> None:
        """Delete a row by hand as well: a repair must not bypass the guard."""
        system = self.system
        system.checker.allow_break("a row is deleted", by_hand=True)
        execute_on(system.server, "HDEL", "catalog:{us}:categories", "1")
        await self.implausible()
        system.checker.end_break()

    async def damaged(self) -> None:
        """Delete rows that have children by hand: a repair adds them first."""
        system = self.system
        system.checker.allow_break("rows are deleted", by_hand=True)
        execute_on(system.server, "HDEL", "catalog:{us}:categories", "2", "3", "4", "5")
        await system.change(1)
        await self._poll_and_follow()
        system.checker.end_break()

    async def origin_changed(self) -> None:
        """Accept another origin, which is the catalog's from then on."""
        system = self.system
        system.catalog_settings = 'locale = "de-DE"\n'
        system.checker.origins = [ORIGIN | {"locale": "de-DE"}]
        await system.change(1)
        await self._run(PUBLISHER, "sync", "us", "--accept-origin")
        await self._poll_and_follow()

    async def emptied(self) -> None:
        """Empty Redis, and run a consumer before a publisher repairs it."""
        self.system.checker.allow_break("wiped")
        execute_on(self.system.server, "FLUSHALL")
        await self._follow()
        await self._poll_and_follow()
        self.system.checker.end_break()

    async def _sync(self) -> list[str]:
        """Poll once; return the points that were passed."""
        words = self._stop_arguments(0)
        await self._run("tests.faults.stop_at_point", *words)
        return kill_points.points(Path(words[0]))

    def _stop_arguments(self, point: int) -> tuple[str, ...]:
        folder = str(self.system.folder / f"notes-{next(self.numbers)}")
        Path(folder).mkdir()
        return folder, str(point), PUBLISHER, "sync"

    async def _run(self, module: str, *words: str) -> None:
        """Run a command of the code to its end, whatever its exit code."""
        await self._wait(await self._start(module, *words))

    async def _start(self, module: str, *words: str) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *words),
            cwd=self.system.write_config(),
            env=environment({"PYTHONPATH": f"{self.code}{os.pathsep}{ROOT}"}),
            stdout=DEVNULL,
            stderr=DEVNULL,
        )

    async def _wait(self, process: Process) -> None:
        async with asyncio.timeout(PATIENCE):
            await process.wait()


async def is_process_stopped(process: Process) -> bool:
    """Return whether SIGSTOP has stopped the process."""
    return is_stopped(process.pid)


STEPS: Final[Sequence[Step]] = (
    Scenario.branch_added_and_removed,
    Scenario.raced,
    Scenario.overtaken,
    Scenario.event_deleted,
    Scenario.implausible,
    Scenario.approved,
    Scenario.damaged_and_implausible,
    Scenario.damaged,
    Scenario.origin_changed,
    Scenario.emptied,
)
"""All steps, in order."""
