"""Which fast test calls which function, so that few tests judge a mutant."""

import ast
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import typer

from tests.mutants.copied_tree import CopiedTree
from tests.mutants.mutations import Mutant, function_at, importers_of
from tests.support.paths import ROOT

FAST: Final = (
    "-q",
    "-p",
    "no:cacheprovider",
    "-m",
    "not slow and not faults",
    "--hypothesis-seed=0",
)


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
