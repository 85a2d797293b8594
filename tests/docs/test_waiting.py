"""Tests wait for conditions, with one patience: no number of seconds of their own."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.support.paths import ROOT

WAITS: Final = {
    "communicate", "eventually", "eventually_now", "join", "Popen", "result", "run", "settimeout",
    "repair_projection", "timeout", "urlopen", "verify_projection", "wait", "wait_async", "wait_for",
}  # fmt: skip
"""Calls that fail, or end a test, after a number of seconds."""
MOMENT: Final = 1.0
"""Seconds; a wait that is not longer is a moment in which a test requires that nothing happens."""
SLEEPS: Final = {
    "conformance/kill_tests.py": "a kill at a random moment",
    "conformance/store_tests.py": "a writer is slow",
    "end_to_end/test_many_publishers.py": "publishers are killed every few seconds",
    "faults/bad_answers.py": "an answer is slow",
    "faults/network.py": "a fault begins late, and lasts",
    "faults/soak.py": "a server stays away for a random time",
    "faults/system.py": "the checker reads again and again; changes come at random moments",
    "faults/test_network.py": "an answer is late",
    "faults/test_server.py": "leases expire, or nearly",
    "faults/test_source.py": "a kill at a random moment",
    "plumbing/cli/test_signals.py": "a signal arrives before the next is sent",
    "publisher/sources/tiktok/tokens/test_file_store_kills.py": "a kill at a random moment",
    "publisher/sources/tiktok/test_source.py": "an answer is late",
    "support/databases.py": "asks again whether the server has started",
    "support/proxy.py": "an answer is late",
    "support/valkey.py": "asks again whether the server has started",
    "support/waiting.py": "asks again whether a condition holds",
}
"""Modules that let time pass, and why."""


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield each call in the module, with the last part of its name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Attribute(attr=name) | ast.Name(id=name):
                    yield name, node


def constants(path: Path) -> dict[str, float]:
    """Return the numbers that the module gives names."""
    found = {}
    for node in ast.parse(path.read_text("utf-8")).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value))
            ) if isinstance(value, int | float):
                found[name] = float(value)
    return found


def seconds(node: ast.expr, names: Mapping[str, float]) -> float:
    """Return the number that `node` is or names, 0 if it is none."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            return names.get(name, 0.0)
    return 0.0


def limits(name: str, call: ast.Call) -> Iterator[ast.expr]:
    """Yield the arguments of `call` that limit how long it waits."""
    if name in WAITS:
        yield from call.args[:1]
        yield from (each.value for each in call.keywords if each.arg in {"timeout", "within"})


def modules() -> Iterator[tuple[str, Path]]:
    """Yield the modules of the tests, with their paths below tests/."""
    tests = ROOT / "tests"
    for path in sorted(tests.rglob("*.py")):
        yield path.relative_to(tests).as_posix(), path


def test_no_test_has_a_patience_of_its_own() -> None:
    """Each longer wait uses PATIENCE or `patience(seconds)`."""
    found = [
        f"{name}:{call.lineno}"
        for name, path in modules()
        for function, call in calls(path)
        if any(seconds(limit, constants(path)) > MOMENT for limit in limits(function, call))
    ]
    assert found == []


def test_a_module_sleeps_only_with_a_reason() -> None:
    """Those that do are listed; `sleep(0)` only lets other tasks run."""
    sleeping = {
        name
        for name, path in modules()
        for function, call in calls(path)
        if function == "sleep" and call.args and ast.unparse(call.args[0]) != "0"
    }
    assert sleeping == set(SLEEPS)
