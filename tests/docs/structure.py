"""Measures of the code's structure.

`.venv/bin/python -m tests.docs.structure` prints them.
"""

import ast
import collections
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from tests.support.paths import ROOT

PACKAGES: Final = ("publisher", "consumers", "plumbing")
NAME: Final = re.compile(r"\w+")

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Module(NamedTuple):
    """One file and its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The folder, from the root of the checkout."""
        return str(self.path.parent.relative_to(ROOT))

    @property
    def classes(self) -> list[ast.ClassDef]:
        """The classes at its top level."""
        return [node for node in self.tree.body if isinstance(node, ast.ClassDef)]


@cache
def modules(*folders: str) -> list[Module]:
    """Return all modules of `folders`, or else of the product."""
    paths = sorted(path for folder in folders or PACKAGES for path in (ROOT / folder).rglob("*.py"))
    texts = [path.read_text("utf-8") for path in paths]
    return [Module(path, text, ast.parse(text)) for path, text in zip(paths, texts, strict=True)]


def functions(module: Module) -> Iterator[Function]:
    """Yield all functions and methods of `module`, nested ones included."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def docstrings(module: Module) -> Iterator[ast.Expr]:
    """Yield the strings that are statements.

    They are docstrings, and the strings below a constant or field.
    """
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node


def code_lines(module: Module) -> int:
    """Return how many lines are neither blank, comment nor docstring."""
    strings = {
        number
        for node in docstrings(module)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(module.text.splitlines(), 1)
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and number not in strings
        for number, line in lines
    )


def length(function: Function) -> int:
    """Return a function's lines, its docstring left out."""
    first = function.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    start = (first.end_lineno or 0) if has_docstring else function.lineno
    return (function.end_lineno or 0) - start


def single_use_helpers(of: list[Module]) -> list[tuple[Module, Function]]:
    """Return the private functions that their module uses once.

    That is, which it names once besides their definition.
    """
    return [
        (module, function)
        for module in of
        for function, uses in _private_functions(module)
        if uses == 1
    ]


def _private_functions(module: Module) -> Iterator[tuple[Function, int]]:
    names = collections.Counter(NAME.findall(_without_docstrings(module)))
    for function in functions(module):
        is_private = function.name.startswith("_") and not function.name.startswith("__")
        if is_private and not function.decorator_list:
            yield function, names[function.name] - 1


def _without_docstrings(module: Module) -> str:
    lines = module.text.splitlines()
    for node in docstrings(module):
        for number in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[number] = ""
    return "\n".join(line.split("#")[0] if "  #" in line else line for line in lines)


def main() -> None:
    """Print the counts, for each package and in all."""
    found = modules()
    helpers = single_use_helpers(found)
    print(f"{'':32} modules  lines  code  functions  used once  longest")  # noqa: T201
    for package in [*PACKAGES, *sorted({module.package for module in found}), ""]:
        some = [m for m in found if f"{m.package}/".startswith(f"{package}/" if package else "")]
        defined = [function for module in some for function in functions(module)]
        once = sum(module in some for module, _ in helpers)
        share = once / (len(defined) or 1)
        longest = max(map(length, defined), default=0)
        print(  # noqa: T201
            f"{package or 'all':32} {len(some):7} "
            f"{sum(m.text.count(chr(10)) for m in some):6} {sum(map(code_lines, some)):5} "
            f"{len(defined):10} {once:4} {share:4.0%} {longest:8}"
        )


if __name__ == "__main__":
    main()
