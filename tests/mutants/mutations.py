"""All mutants of a module: the module with one small change each.

The changes are mutmut's. mutmut itself leaves out decorated functions (all commands, properties,
context managers) and what is outside functions (constants, settings' defaults); here these change too.
"""

import ast
import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path

import libcst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

PACKAGES = ("publisher", "consumers", "plumbing")


@dataclass(frozen=True)
class Mutant:
    """A module's text with one small change."""

    path: str
    """The module's, relative to the checkout."""
    line: int
    """Where the change is in the original."""
    number: int
    """It counts the mutants of the module from 0."""
    text: str

    @property
    def name(self) -> str:
        """What identifies the mutant while the code stays as it is."""
        return f"{self.path}:{self.line}#{self.number}"

    def difference(self, original: str) -> str:
        """Return what is changed, as a diff of one line before and after."""
        lines = difflib.unified_diff(
            original.splitlines(), self.text.splitlines(), "", "", "", "", 1
        )
        return "\n".join(list(lines)[3:])


class _Visitor(MutationVisitor):  # type: ignore[misc]  # mutmut is in an environment of its own
    """Collect mutations, also those of decorated functions."""

    def __init__(self) -> None:
        nothing = IgnoredCode(set(), set(), set())
        super().__init__(mutation_operators, nothing)

    def _skip_node_and_children(self, node: libcst.CSTNode) -> bool:
        if isinstance(node, libcst.FunctionDef) and node.decorators:
            return False
        return _signals_a_process(node) or bool(super()._skip_node_and_children(node))


def _signals_a_process(node: libcst.CSTNode) -> bool:
    """Return whether this is a call such as os.kill.

    Changed, it could end somebody else's process.
    """
    match node:
        case libcst.Call(func=libcst.Attribute(attr=libcst.Name(value="kill" | "killpg"))):
            return True
    return False


def modules_outside_the_core(root: Path) -> list[str]:
    """Return the paths of the modules that mutmut's own run leaves out."""
    configuration = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    core = set(configuration["tool"]["mutmut"]["only_mutate"])
    found = (path.relative_to(root) for each in PACKAGES for path in (root / each).rglob("*.py"))
    return sorted(str(path) for path in found if str(path) not in core)


class Module:
    """A module that is changed."""

    def __init__(self, root: Path, path: str) -> None:
        self.path = path
        self._module = MetadataWrapper(libcst.parse_module((root / path).read_text("utf-8")))
        visitor = _Visitor()
        self._module.visit(visitor)
        self._mutations = visitor.mutations

    def __len__(self) -> int:
        """Return the number of mutants."""
        return len(self._mutations)

    def mutant(self, number: int) -> Mutant:
        """Return a mutant."""
        original, changed = (
            self._mutations[number].original_node,
            self._mutations[number].mutated_node,
        )
        text = self._module.module.deep_replace(original, changed).code
        line = self._module.resolve(PositionProvider)[original].start.line
        return Mutant(self.path, line, number, text)


def function_at(module: ast.Module, line: int) -> int | None:
    """Return the first line of the innermost function around `line`, if any."""
    starts = [
        node.lineno
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(starts, default=None)


def importers_of(root: Path, path: str) -> set[str]:
    """Return the paths of the modules that import from the module at `path`."""
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return {
        str(each.relative_to(root))
        for package in PACKAGES
        for each in (root / package).rglob("*.py")
        for node in ast.walk(ast.parse(each.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        and (node.module == name or name in {f"{node.module}.{one.name}" for one in node.names})
    }
