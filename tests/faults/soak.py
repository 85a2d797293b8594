"""`make soak`: random faults for hours, or until something is found.

Each round is a system of its own, on Valkey and on Redis in turn. Its seed determines what happens,
though not to the microsecond: `make soak SEED=n` starts with round n.
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

from tests.faults import bad_answers, servers
from tests.faults import test_people as by_hand
from tests.faults.network import Network, open_network, random_schedule
from tests.faults.system import LEASE_SECONDS, System, Verdict
from tests.support.redis_servers import execute_on
from tests.support.valkey import Valkey
from tests.support.waiting import PATIENCE

ACTIONS_PER_ROUND: Final = 12
ACTIONS_UNTIL_REST: Final = 3
"""Then everything may become equal: so many changes must not cause a hold."""
CATEGORIES: Final = 400
LIMITS: Final = "max_body_bytes = 10000000\n"

Action: TypeAlias = Callable[[System], Awaitable[None]]


async def publisher_killed(system: System) -> None:
    """Kill a publisher, and start another one."""
    number = system.rng.randrange(len(system.publishers))
    system.publishers.pop(number).kill()
    system.start_publisher()


async def consumer_killed(system: System) -> None:
    """Kill a consumer, and start it again."""
    projection = system.rng.choice(system.projections)
    system.consumers[projection.kind.name].kill()
    system.start_consumer(projection)


async def process_stopped(system: System) -> None:
    """Stop a publisher or a consumer, possibly for longer than a lease."""
    stopped = system.rng.choice([*system.publishers, *system.consumers.values()])
    stopped.pause()
    await asyncio.sleep(system.rng.uniform(0, 1.5 * LEASE_SECONDS))
    stopped.resume()


async def server_killed(system: System) -> None:
    """Kill the server, and start it with what it has written."""
    system.server.kill()
    system.server.start()


async def server_stopped(system: System) -> None:
    """Stop the server, possibly for longer than the leases."""
    system.server.pause()
    await asyncio.sleep(system.rng.uniform(0, 1.5 * LEASE_SECONDS))
    system.server.resume()


async def connections_closed(system: System) -> None:
    """Let the server close every connection, also the checker's."""
    execute_on(system.server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


async def server_restarted(system: System) -> None:
    """Stop the server as an operator or a service manager does, and start it."""
    system.rng.choice([servers.shut_down, servers.terminate])(system.server)
    system.server.start()


async def power_cut(system: System) -> None:
    """Cut the last bytes that the server has written, up to 2,000."""
    system.checker.allow_break(
        "the power failed", by_hand=servers.replays_half_transactions(system.server)
    )
    since = max(servers.aof_size(system.server) - 2000, 0)
    await servers.cut_power(system, since)


async def server_wiped(system: System) -> None:
    """Empty the server."""
    system.checker.allow_break("wiped")
    async with servers.publishers_paused(system):
        execute_on(system.server, "FLUSHALL")


async def backup_restored(system: System) -> None:
    """Restore the server from a backup made a moment ago."""
    backup = servers.back_up_files(system.server, f"backup-{time.monotonic_ns()}")
    await system.change()
    system.checker.allow_break("restored from an old backup")
    await servers.restore_files(system, backup)
    shutil.rmtree(backup)


async def edited_by_hand(system: System) -> None:
    """Edit a key, a field or a row as somebody may do by hand."""
    action = system.rng.choice(sorted(chain.from_iterable(by_hand.EDITS.values())))
    system.checker.allow_break(" ".join(action), by_hand=True)
    async with servers.publishers_paused(system):
        execute_on(system.server, *action)


async def memory_full(system: System) -> None:
    """Let the server reject writes for a moment (noeviction)."""
    execute_on(system.server, "CONFIG", "SET", "maxmemory", 1)
    await system.change()
    execute_on(system.server, "CONFIG", "SET", "maxmemory", 0)


async def bad_answers_given(system: System) -> None:
    """Let the source answer with what is not a tree."""
    group = bad_answers.GROUPS[system.rng.choice(sorted(bad_answers.GROUPS))]
    bad = list(group(system.source.tree, system.rng))
    system.source.answer_next(system.rng.sample(bad, min(len(bad), 2)))


BREAKING: Final[tuple[Action, ...]] = (power_cut, server_wiped, backup_restored, edited_by_hand)
"""Actions that must be announced to the checker.

Before and after each, everything is equal.
"""
ACTIONS: Final[tuple[Action, ...]] = (
    publisher_killed,
    consumer_killed,
    process_stopped,
    server_killed,
    server_stopped,
    connections_closed,
    server_restarted,
    memory_full,
    bad_answers_given,
    *BREAKING,
)


def main(
    hours: Annotated[float, typer.Option(help="How long; one round is always made.")] = 8.0,
    seed: Annotated[int, typer.Option(help="Of the first round; the next has the next one.")] = 1,
) -> None:
    """Break everything at random for hours, or until something is found (exit 1)."""
    end = time.monotonic() + hours * 3600
    try:
        for number in count(seed):
            _round(number)
            if time.monotonic() > end:
                break
    except KeyboardInterrupt:
        typer.echo("stopped; nothing was found")


def _round(seed: int) -> None:
    """Run a round and print a line; its folder is kept if something was found."""
    program = servers.program(servers.KINDS[seed % 2]) or servers.program("valkey")
    assert program is not None
    folder = Path(tempfile.mkdtemp(prefix="cp-"))
    begin = time.monotonic()
    try:
        (home := folder / "redis").mkdir()
        with Valkey(home, binary=program) as server:
            done, verdict = asyncio.run(_run_actions(folder, server, seed))
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        raise
    except BaseException:
        _print_seed(seed, folder)
        raise
    typer.echo(
        f"seed {seed} · {servers.version_of(program)} · {time.monotonic() - begin:.0f} s · longest"
        f" recovery {verdict.recovery:.1f} s · {done}"
    )
    if verdict.findings:
        for kind, what in verdict.findings:
            typer.echo(f"  {kind}: {what}", err=True)
        _print_seed(seed, folder)
        raise typer.Exit(1)
    shutil.rmtree(folder)


def _print_seed(seed: int, folder: Path) -> None:
    typer.echo(f"found with `make soak SEED={seed}`; files and logs are in {folder}", err=True)


async def _run_actions(folder: Path, server: Valkey, seed: int) -> tuple[str, Verdict]:
    """Return what was done, and the result."""
    rng = random.Random(seed)
    actions = rng.choices(ACTIONS, k=ACTIONS_PER_ROUND)
    async with open_network(folder, server, seed=seed, categories=CATEGORIES) as (system, network):
        system.catalog_settings = LIMITS
        system.start(publishers=2)
        await system.settle()
        for number, action in enumerate(actions, 1):
            if action in BREAKING:
                await system.settle(within=PATIENCE)
            await _do(system, network, action)
            if action in BREAKING or number % ACTIONS_UNTIL_REST == 0:
                await system.settle(within=PATIENCE)
        return ", ".join(
            action.__name__.replace("_", " ") for action in actions
        ), await system.verdict()


async def _do(system: System, network: Network, action: Action) -> None:
    """Do something while a link is bad and the tree changes."""
    (step,) = random_schedule(system.rng, faults=1)
    await asyncio.gather(
        step._replace(at=0).inject(network), action(system), system.change(system.rng.randint(1, 3))
    )


if __name__ == "__main__":
    typer.run(main)
