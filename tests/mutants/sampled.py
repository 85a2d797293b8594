"""`make mutants-sampled`: draw mutants outside the core and test each.

It prints the seed; the same seed draws the same mutants as long as the code is the same.
"""

import ast
import itertools
import json
import queue
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Self

import typer

from tests.mutants.copied_tree import NO_TESTS, CopiedTree
from tests.mutants.mutations import (
    Module,
    Mutant,
    function_at,
    importers_of,
    modules_outside_the_core,
)
from tests.support.paths import ROOT

FAST: Final = (
    "-q",
    "-p",
    "no:cacheprovider",
    "-m",
    "not slow and not faults",
    "--hypothesis-seed=0",
)
WANTED: Final = 0.92
PATIENCE: Final = 60.0
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


@dataclass
class Tests:
    """Which test calls which function, and how long it takes."""

    seconds: dict[str, float] = field(default_factory=dict)
    callers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def read(cls, file: Path) -> Self:
        """Return what `write` has written."""
        seconds, callers = json.loads(file.read_text("utf-8"))
        return cls(seconds, {function: set(tests) for function, tests in callers.items()})

    def write(self, file: Path) -> None:
        """Write all to a file, so that another run need not record it again."""
        callers = {function: sorted(tests) for function, tests in self.callers.items()}
        file.write_text(json.dumps([self.seconds, callers]), encoding="utf-8")

    def of(self, mutant: Mutant) -> list[str]:
        """Return the tests that judge the mutant, the most promising ones first.

        These are the tests in the module's own file, then those that call the changed function, fast
        ones first. A change outside functions is judged by the tests that call any function of
        the module, or of a module that imports it.
        """
        module = ast.parse((ROOT / mutant.path).read_text("utf-8"))
        line = function_at(module, mutant.line)
        concerned = {mutant.path} if line else {mutant.path, *importers_of(ROOT, mutant.path)}
        folder, _, name = mutant.path.rpartition("/")
        own = f"tests/{folder}/test_{name}::"
        found = {test for test in self.seconds if test.startswith(own)}
        for function, callers in self.callers.items():
            path, _, number = function.rpartition(":")
            if path in concerned and (line is None or number == str(line)):
                found |= callers
        return sorted(found, key=lambda test: (not test.startswith(own), self.seconds[test], test))


def record(trees: Sequence[CopiedTree]) -> Tests:
    """Run the fast tests, one share in each tree."""
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py"))
    tests = Tests()
    with ThreadPoolExecutor() as threads:
        shares = [files[number :: len(trees)] for number in range(len(trees))]
        list(threads.map(lambda tree, share: _record_share(tree, share, tests), trees, shares))
    return tests


def _record_share(tree: CopiedTree, files: Sequence[str], tests: Tests) -> None:
    with tree.recorded() as log:
        _, result = tree.run({}, [*FAST, *files], 3600)
        if result is None:
            sys.exit(tree.output())
        names, seconds = result
        calls = [line.split(" ") for line in log.read_text("utf-8").splitlines()]
    tests.seconds.update(seconds)
    for number, function in calls:
        if names[int(number)] in seconds:
            tests.callers[function].add(names[int(number)])
    for name in sorted(set(names) - seconds.keys()):
        typer.echo(f"not used, because it fails or is skipped without a mutant: {name}")


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
        "limits": {test: PATIENCE + 10 * tests.seconds[test] for test in chosen},
    }
    total = 120 + 3 * sum(tests.seconds[test] for test in chosen)
    with tree.changed(mutant.path, mutant.text):
        code, result = tree.run(plan, ["-x", *FAST, *files], total)
    if result is not None:
        return result[0], result[1]
    if code in {0, NO_TESTS}:
        return SURVIVED, f"{len(chosen)} tests call it"
    return (TIMED_OUT, chosen[-1]) if code < 0 else (KILLED, "at import")


def report(results: Sequence[tuple[Mutant, str, str]], seed: int) -> bool:
    """Print what became of the mutants; return whether enough of them were noticed."""
    for mutant, verdict, note in sorted(results, key=lambda each: each[0].name):
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
        results = judge_all(trees, [each for each in drawn if only in each.name], tests)
    sys.exit(not report(results, seed))


def judge_all(
    trees: Sequence[CopiedTree], mutants: Sequence[Mutant], tests: Tests
) -> list[tuple[Mutant, str, str]]:
    """Judge the mutants, one in each tree at a time."""
    free: queue.SimpleQueue[CopiedTree] = queue.SimpleQueue()
    for tree in trees:
        free.put(tree)
    counter = itertools.count(1)

    def judge_one(mutant: Mutant) -> tuple[Mutant, str, str]:
        tree = free.get()
        began = time.monotonic()
        verdict, note = judge(tree, mutant, tests)
        free.put(tree)
        took = time.monotonic() - began
        typer.echo(f"{next(counter)} {verdict} {mutant.name} {note} {took:.0f} s")
        return mutant, verdict, note

    with ThreadPoolExecutor(len(trees)) as threads:
        return list(threads.map(judge_one, mutants))


if __name__ == "__main__":
    typer.run(main)
