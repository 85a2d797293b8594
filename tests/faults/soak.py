"""`make soak`: faults at random, for hours, until something is found or the time is over.

Each round is a world of its own, on Valkey and on Redis in turn. Its seed says all that happens in
it, though not to the microsecond: `make soak SEED=n` begins with round n.
"""

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from tests.faults import answers, servers
from tests.faults import test_people as by_hand
from tests.faults.network import Network, drawn, networked
from tests.faults.world import LEASE_SECONDS, Verdict, World
from tests.support.redis_servers import asked
from tests.support.valkey import Valkey

BEATS: Final = 12
BEATS_AT_ONCE: Final = 3
"""Then the world may settle: what changes until then must be no reason for a hold."""
CATEGORIES: Final = 400
LIMITS: Final = "max_body_bytes = 10000000\n"
PATIENT: Final = 100.0
"""Seconds until all is equal again; a source that answered badly is asked less often."""

Deed: TypeAlias = Callable[[World], Awaitable[None]]


async def publisher_killed(world: World) -> None:
    """Kill a publisher, and start another one."""
    number = world.chance.randrange(len(world.publishers))
    world.publishers.pop(number).kill()
    world.start_publisher()


async def consumer_killed(world: World) -> None:
    """Kill a consumer, and start it again."""
    copy = world.chance.choice(world.copies)
    world.consumers[copy.kind.name].kill()
    world.start_consumer(copy)


async def process_stopped(world: World) -> None:
    """Stop a publisher or a consumer, perhaps for longer than a lease."""
    stopped = world.chance.choice([*world.publishers, *world.consumers.values()])
    stopped.pause()
    await asyncio.sleep(world.chance.uniform(0, 1.5 * LEASE_SECONDS))
    stopped.resume()


async def server_killed(world: World) -> None:
    """Kill the server, and start it on what it has written."""
    world.server.kill()
    world.server.start()


async def server_stopped(world: World) -> None:
    """Stop the server, perhaps for longer than the leases."""
    world.server.pause()
    await asyncio.sleep(world.chance.uniform(0, 1.5 * LEASE_SECONDS))
    world.server.resume()


async def connections_closed(world: World) -> None:
    """Have the server close every connection, the judge's too."""
    asked(world.server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


async def server_restarted(world: World) -> None:
    """Shut the server down, as an operator or a service manager does, and start it again."""
    world.chance.choice([servers.shut_down, servers.terminate])(world.server)
    world.server.start()


async def power_cut(world: World) -> None:
    """Lose the last bytes that the server has written, up to 2,000 of them."""
    world.checker.broken("the power failed", by_hand=servers.tears(world.server))
    since = max(servers.written(world.server) - 2000, 0)
    await servers.cut_power(world, since)


async def server_wiped(world: World) -> None:
    """Empty the server."""
    world.checker.broken("wiped")
    async with servers.stilled(world):
        asked(world.server, "FLUSHALL")


async def backup_restored(world: World) -> None:
    """Set the server back to what it was a moment ago."""
    backup = servers.backed_up(world.server, f"backup-{time.monotonic_ns()}")
    await world.changes()
    world.checker.broken("restored from an old backup")
    await servers.restore(world, backup)
    shutil.rmtree(backup)


async def edited_by_hand(world: World) -> None:
    """Do to a key, a field or a row what somebody may do by hand."""
    deed = world.chance.choice(sorted(chain.from_iterable(by_hand.DEEDS.values())))
    world.checker.broken(" ".join(deed), by_hand=True)
    async with servers.stilled(world):
        asked(world.server, *deed)


async def memory_full(world: World) -> None:
    """Let the server refuse writes for a moment (noeviction)."""
    asked(world.server, "CONFIG", "SET", "maxmemory", 1)
    await world.changes()
    asked(world.server, "CONFIG", "SET", "maxmemory", 0)


async def bad_answers(world: World) -> None:
    """Let the source answer with what is no tree."""
    group = answers.GROUPS[world.chance.choice(sorted(answers.GROUPS))]
    bad = list(group(world.upstream.tree, world.chance))
    world.upstream.says(world.chance.sample(bad, min(len(bad), 2)))


BREAKING: Final[tuple[Deed, ...]] = (power_cut, server_wiped, backup_restored, edited_by_hand)
"""Those that the judge is told of: it judges each from rest to rest."""
DEEDS: Final[tuple[Deed, ...]] = (
    publisher_killed,
    consumer_killed,
    process_stopped,
    server_killed,
    server_stopped,
    connections_closed,
    server_restarted,
    memory_full,
    bad_answers,
    *BREAKING,
)


def main(
    hours: Annotated[float, typer.Option(help="How long; one round is always made.")] = 8.0,
    seed: Annotated[int, typer.Option(help="Of the first round; the next has the next one.")] = 1,
) -> None:
    """Break everything at random until something is found (exit code 1) or the time is over."""
    end = time.monotonic() + hours * 3600
    try:
        for number in count(seed):
            _round(number)
            if time.monotonic() > end:
                break
    except KeyboardInterrupt:
        typer.echo("stopped; nothing was found")


def _round(seed: int) -> None:
    """Make one round, and tell of it; what it leaves stays if something was found."""
    program = servers.program(servers.KINDS[seed % 2]) or servers.program("valkey")
    assert program is not None
    folder = Path(tempfile.mkdtemp(prefix="cp-"))
    begin = time.monotonic()
    try:
        (home := folder / "redis").mkdir()
        with Valkey(home, binary=program) as server:
            told, verdict = asyncio.run(_played(folder, server, seed))
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        raise
    except BaseException:
        _tell_where(seed, folder)
        raise
    typer.echo(
        f"seed {seed} · {servers.version_of(program)} · {time.monotonic() - begin:.0f} s · longest"
        f" recovery {verdict.recovery:.1f} s · {told}"
    )
    if verdict.findings:
        for kind, what in verdict.findings:
            typer.echo(f"  {kind}: {what}", err=True)
        _tell_where(seed, folder)
        raise typer.Exit(1)
    shutil.rmtree(folder)


def _tell_where(seed: int, folder: Path) -> None:
    typer.echo(f"found with `make soak SEED={seed}`; files and logs are in {folder}", err=True)


async def _played(folder: Path, server: Valkey, seed: int) -> tuple[str, Verdict]:
    """Return what happened, and what it came to."""
    chance = random.Random(seed)
    deeds = chance.choices(DEEDS, k=BEATS)
    async with networked(folder, server, seed=seed, categories=CATEGORIES) as (world, network):
        world.settings = LIMITS
        world.start(publishers=2)
        await world.settled()
        for number, deed in enumerate(deeds, 1):
            if deed in BREAKING:
                await world.settled(within=PATIENT)
            await _beat(world, network, deed)
            if deed in BREAKING or number % BEATS_AT_ONCE == 0:
                await world.settled(within=PATIENT)
        return ", ".join(deed.__name__.replace("_", " ") for deed in deeds), await world.verdict()


async def _beat(world: World, network: Network, deed: Deed) -> None:
    """Let something happen while a link is bad and the tree changes."""
    (step,) = drawn(world.chance, steps=1)
    await asyncio.gather(
        step._replace(at=0).take(network), deed(world), world.changes(world.chance.randint(1, 3))
    )


if __name__ == "__main__":
    typer.run(main)
