"""Mutate the scripts that run inside Redis; each small change must fail a test.

    PYTHONPATH=.venv/mutants .venv/bin/python -m tests.mutants.scripts

A mutant is the project with one change of one script: an operator, a condition, a number, a text, a row
of a list, or a whole statement. The script's tests run on it; it survives if they pass. The exit code
is 1 if one survives, 2 if the tests fail without a change.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import tree_sitter_lua
from tree_sitter import Language, Node, Parser

from tests.mutants.copied_tree import CopiedTree, in_each
from tests.support.paths import ROOT

SCRIPTS: Final = {
    "publisher/state/commit.lua": ["tests/publisher/state/test_commit_script.py"],
    "publisher/sources/tiktok/tokens/swap.lua": [
        "tests/publisher/sources/tiktok/tokens/test_swap_script.py"
    ],
}
"""The scripts, each with its tests."""
PROCESSES: Final = 2
"""How many mutants are tested at a time."""
LIMIT_SECONDS: Final = 120.0
"""Until a mutant that hangs is ended; that counts as killed."""
OTHER_OPERATORS: Final = {
    "==": ["~="], "~=": ["=="], ">": [">=", "<"], "and": ["or"], "or": ["and"],
    "+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"],
}  # fmt: skip
STATEMENTS: Final = {
    "assignment_statement", "for_statement", "function_call", "if_statement", "return_statement",
}  # fmt: skip


class Mutant(NamedTuple):
    """A script with one change."""

    script: str
    line: int
    change: str
    text: bytes

    @property
    def name(self) -> str:
        """Where and what it is."""
        return f"{self.script}:{self.line} {self.change}"


def mutants(script: str, text: bytes) -> Iterator[Mutant]:
    """Yield each mutant of the script with this `text`."""
    tree = Parser(Language(tree_sitter_lua.language())).parse(text)
    for node in _all_nodes(tree.root_node):
        for replacement in _replacements(node):
            yield Mutant(
                script,
                node.start_point.row + 1,
                f"{_short(node.text or b'')} -> {replacement.decode() or 'nothing'}",
                text[: node.start_byte] + replacement + text[node.end_byte :],
            )


def _all_nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _all_nodes(child)


def _replacements(node: Node) -> Iterator[bytes]:
    """Yield what may stand for `node` in a mutant."""
    text, parent = node.text or b"", node.parent
    is_part = parent is not None and parent.type in {"block", "chunk"}
    if not node.is_named:
        yield from (other.encode() for other in OTHER_OPERATORS.get(node.type, ()))
    elif node.type in STATEMENTS and is_part:
        yield b""
    elif node.type == "number":
        yield from (str(int(text) + step).encode() for step in (1, -1))
    elif node.type == "string":
        yield b"'XX'"
    if node.type == "field" and text.startswith(
        b"{"
    ):  # a row of a list: instead, another row twice
        sibling = node.prev_named_sibling or node.next_named_sibling
        yield from [sibling.text or b""] if sibling is not None else []
    if node.type == "unary_expression" and text.startswith(b"not"):
        yield text.removeprefix(b"not").strip()
    if parent is not None and node == parent.child_by_field_name("condition"):
        yield from (b"true", b"false")


def _short(text: bytes) -> str:
    first, *more = text.decode().splitlines()
    return f"{first} …" if more else first


def survives(tree: CopiedTree, mutant: Mutant) -> bool:
    """Return whether all tests of the script pass on `mutant`."""
    nothing: dict[str, Any] = {"tests": [], "others": [], "limits": {}}
    with tree.changed(mutant.script, mutant.text.decode()):
        code, _ = tree.run(nothing, ["-x", "-q", *SCRIPTS[mutant.script]], LIMIT_SECONDS)
    return code == 0


def main() -> int:
    """Test all mutants of all scripts; print the survivors, and return the exit code."""
    texts = {script: (ROOT / script).read_bytes() for script in SCRIPTS}
    found = [mutant for script, text in texts.items() for mutant in mutants(script, text)]
    with tempfile.TemporaryDirectory(prefix="cpm-", dir="/tmp") as folder:
        trees = [CopiedTree(Path(folder) / str(number)) for number in range(PROCESSES)]
        for script, text in texts.items():
            if not survives(trees[0], Mutant(script, 0, "unchanged", text)):
                print(f"{script}: its tests fail without a change, so they judge nothing")  # noqa: T201
                return 2
        survivors = 0
        for mutant, has_survived in zip(found, in_each(trees, survives, found), strict=True):
            if has_survived:
                survivors += 1
                print(f"survived: {mutant.name}", flush=True)  # noqa: T201  the result
    print(f"{len(found)} mutants, {survivors} survived")  # noqa: T201  the result
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
