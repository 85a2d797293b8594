"""`make mutants-sampled`: draw mutants outside the core and test each.

It prints the seed; the same seed draws the same mutants as long as the code is the same.
"""

import itertools
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from tests.mutants.calls import FAST, Tests, record
from tests.mutants.copied_tree import NO_TESTS, CopiedTree, in_each
from tests.mutants.mutations import (
    Module,
    Mutant,
    modules_outside_the_core,
)
from tests.support.paths import ROOT

WANTED: Final = 0.92
EXTRA_SECONDS: Final = 60.0
"""How many seconds a test may take longer than ten times as long as without a mutant."""
READERS: Final = (
    "tests/consumers/sql/test_definitions.py",
    "tests/docs/test_help.py",
    "tests/plumbing/config/test_messages.py",
)
"""Tests that look at what the code defines when it is imported: no call of theirs is recorded."""
KILLED: Final = "killed"
TIMED_OUT: Final = "timed out"
SURVIVED: Final = "survived"


class Result(NamedTuple):
    """What became of a mutant, and the test that noticed it or another reason."""

    mutant: Mutant
    verdict: str
    note: str


def judge(tree: CopiedTree, mutant: Mutant, tests: Tests) -> tuple[str, str]:
    """Return what becomes of the mutant, and the test that notices it."""
    chosen = tests.of(mutant)
    verdict, note = _run_tests(tree, mutant, tests, chosen)
    if verdict == TIMED_OUT and _run_tests(tree, mutant, tests, [note])[0] == SURVIVED:
        others = [test for test in chosen if test != note]  # the machine was too busy for that one
        verdict, note = _run_tests(tree, mutant, tests, others)
    if verdict == SURVIVED:
        rest = [test for test in tests.seconds if test.startswith(READERS) and test not in chosen]
        verdict, noticed_by = _run_tests(tree, mutant, tests, rest)
        note = note if verdict == SURVIVED else noticed_by
    return verdict, note


def _run_tests(
    tree: CopiedTree, mutant: Mutant, tests: Tests, chosen: Sequence[str]
) -> tuple[str, str]:
    if not chosen:
        return SURVIVED, "no test calls it"
    files = dict.fromkeys(test.partition("::")[0] for test in chosen)
    plan = {
        "tests": chosen,
        "others": sorted(tests.seconds.keys() - chosen),
        "limits": {test: EXTRA_SECONDS + 10 * tests.seconds[test] for test in chosen},
    }
    total = 120 + 3 * sum(tests.seconds[test] for test in chosen)
    with tree.changed(mutant.path, mutant.text):
        code, result = tree.run(plan, ["-x", *FAST, *files], total)
    if result is not None:
        return result[0], result[1]
    if code in {0, NO_TESTS}:
        return SURVIVED, f"{len(chosen)} tests call it"
    return (TIMED_OUT, chosen[-1]) if code < 0 else (KILLED, "at import")


def report(results: Sequence[Result], seed: int) -> bool:
    """Print what became of the mutants; return whether enough of them were noticed."""
    for mutant, verdict, note in sorted(results, key=lambda each: each.mutant.name):
        if verdict != KILLED:
            typer.echo(f"\n{verdict}: {mutant.name} ({note})")
            typer.echo(mutant.difference((ROOT / mutant.path).read_text("utf-8")))
    counts = Counter(verdict for _, verdict, _ in results)
    share = 1 - counts[SURVIVED] / len(results)
    numbers = ", ".join(f"{counts[each]} {each}" for each in (KILLED, TIMED_OUT, SURVIVED))
    typer.echo(f"\n{len(results)} mutants of seed {seed}: {numbers}; {share:.1%} noticed")
    return share >= WANTED


def main(
    mutants: Annotated[int, typer.Option("-n", help="How many mutants to draw.")] = 240,
    seed: Annotated[int | None, typer.Option(help="Draws the same mutants again.")] = None,
    processes: Annotated[int, typer.Option(help="How many mutants are tested at a time.")] = 2,
    calls: Annotated[
        Path | None,
        typer.Option(help="Which test calls what: read from this file, or written to it at first."),
    ] = None,
    only: Annotated[str, typer.Option(help="Judge just drawn mutants whose name has this.")] = "",
) -> None:
    """Draw mutants outside the core, and see whether a fast test notices each.

    Exit code 1 if fewer than 92 % are noticed.
    """
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    typer.echo(f"seed {seed}")
    modules = [Module(ROOT, path) for path in modules_outside_the_core(ROOT)]
    everything = [(module, number) for module in modules for number in range(len(module))]
    drawn = [
        module.mutant(each) for module, each in random.Random(seed).sample(everything, mutants)
    ]
    typer.echo(f"{len(drawn)} of {len(everything)} mutants")
    with tempfile.TemporaryDirectory(prefix="cpm-", dir="/tmp") as folder:
        trees = [CopiedTree(Path(folder) / str(number)) for number in range(processes)]
        tests = Tests.read(calls) if calls and calls.exists() else record(trees)
        if calls:
            tests.write(calls)
        typer.echo(f"{len(tests.seconds)} tests take {sum(tests.seconds.values()):.0f} s")
        counter = itertools.count(1)

        def judge_one(tree: CopiedTree, mutant: Mutant) -> Result:
            began = time.monotonic()
            verdict, note = judge(tree, mutant, tests)
            took = time.monotonic() - began
            typer.echo(f"{next(counter)} {verdict} {mutant.name} {note} {took:.0f} s")
            return Result(mutant, verdict, note)

        chosen = [mutant for mutant in drawn if only in mutant.name]
        results = list(in_each(trees, judge_one, chosen))
    sys.exit(not report(results, seed))


if __name__ == "__main__":
    typer.run(main)
