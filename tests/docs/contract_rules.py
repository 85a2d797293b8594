"""Lists the tests of each rule of docs/contract.md, by their markers.

A marker is `contract("5.6")`.

.venv/bin/python -m tests.docs.contract_rules    # writes the table at the end of docs/contract.md
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.paths import DOCS, ROOT

PAGE: Final = DOCS / "contract.md"
HEADING: Final = "## Where each rule is shown"
INTRODUCTION: Final = (
    "Generated from the tests' markers by `.venv/bin/python -m tests.docs.contract_rules`. "
    "To run the tests of one rule: `.venv/bin/pytest --rule 5.6`."
)
RULE: Final = re.compile(r"^(?:## ([2-9])\. |### (5\.\d+) )(.+)$", re.MULTILINE)
"""Headings: chapters, without the first, which has words and no rules; and the rules of chapter 5."""
Function: Final = ast.FunctionDef | ast.AsyncFunctionDef


class MarkedTest(NamedTuple):
    """A test and one rule that it shows."""

    rule: str
    file: str
    name: str


def rules() -> dict[str, str]:
    """Return number and title of each rule of the page, in its order."""
    text = PAGE.read_text("utf-8").partition(HEADING)[0]
    found = {chapter or rule: title for chapter, rule, title in RULE.findall(text)}
    del found["5"]  # its rules have numbers of their own
    return found


def marked_tests() -> list[MarkedTest]:
    """Return each test with each rule that it, its class or its module is marked with."""
    files = sorted((ROOT / "tests").rglob("*.py"))
    return sorted({test for file in files for test in _marked_in(file)})


def _marked_in(file: Path) -> Iterator[MarkedTest]:
    module = ast.parse(file.read_text("utf-8"))
    path = str(file.relative_to(ROOT))
    assigned = [
        node.value
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    for name, marks in _tests_in(module, assigned):
        for mark in marks:
            for rule in _rules_of(mark):
                yield MarkedTest(rule, path, name)


def _tests_in(
    parent: ast.Module | ast.ClassDef, marks: list[ast.expr]
) -> Iterator[tuple[str, list[ast.expr]]]:
    for node in parent.body:
        if isinstance(node, ast.ClassDef):
            yield from _tests_in(node, marks + node.decorator_list)
        elif isinstance(node, Function) and node.name.startswith("test_"):
            yield node.name, marks + node.decorator_list


def _rules_of(mark: ast.expr) -> list[str]:
    return re.findall(r"mark\.contract\('([\d.]+)'\)", ast.unparse(mark))


def table() -> str:
    """Return the chapter that lists the tests of each rule."""
    tests = marked_tests()
    lines = [
        HEADING,
        "",
        INTRODUCTION,
        "",
        "| rule | about | tests |",
        "| --- | --- | --- |",
    ]
    for rule, title in rules().items():
        files: dict[str, list[str]] = {}
        for test in tests:
            if test.rule == rule:
                files.setdefault(test.file, []).append(test.name)
        shown = "<br>".join(
            f"[{file.removeprefix('tests/')}](../{file}): {', '.join(names)}"
            for file, names in files.items()
        )
        lines.append(f"| {rule} | {title} | {shown} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table."""
    text = PAGE.read_text("utf-8").partition(HEADING)[0]
    PAGE.write_text(f"{text.rstrip()}\n\n{table()}", "utf-8")


if __name__ == "__main__":
    main()
