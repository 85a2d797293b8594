"""The structure of the code: folders, sizes and names that a stranger can rely on."""

import ast
import collections
import re

import pytest

from tests.docs.structure import PACKAGES, Module, functions, length, modules, single_use_helpers
from tests.support.paths import ROOT

LONGEST_FUNCTION = 40
LONGEST_FIRST_LINE = 80
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SINGLE_USE_SHARE = 0.15
PARTICIPLE = re.compile(
    r"_([a-z]+ed|built|found|given|held|kept|known|made|seen|sent|shown|taken|told|written)"
)
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## The way of the data")[0]


@pytest.fixture(scope="module")
def code() -> list[Module]:
    """Return all modules of the product."""
    return modules()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_folders_of_a_package(package: str) -> None:
    """A package has the folders that CONTRIBUTING.md explains, and no others."""
    found = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    (lines,) = re.findall(rf"^{package}/ .*\n((?:  .*\n)+)", PAGE, re.MULTILINE)
    assert found == set(re.findall(r"^  (\w+)/", lines, re.MULTILINE))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_modules_beside_the_folders(package: str) -> None:
    """CONTRIBUTING.md names exactly the modules that are in no folder.

    It does so for each package.
    """
    found = {path.name for path in (ROOT / package).glob("*.py") if not path.name.startswith("__")}
    (sentence,) = re.findall(rf"`{package}/` are ((?:[^.]|\.py\b)+)\.", PAGE)
    assert found == set(re.findall(r"`(\w+\.py)`", sentence))


def test_functions_are_short(code: list[Module]) -> None:
    """No function is longer than a screen."""
    found = [(m.path, f.name) for m in code for f in functions(m) if length(f) > LONGEST_FUNCTION]
    assert found == []


def test_few_helpers_are_used_once(code: list[Module]) -> None:
    """Few private functions are called once only."""
    defined = sum(len(list(functions(module))) for module in code)
    assert len(single_use_helpers(code)) / defined <= SINGLE_USE_SHARE


@pytest.mark.parametrize("package", PACKAGES)
def test_a_public_class_name_is_used_once(code: list[Module], package: str) -> None:
    """No two classes of a package have the same public name."""
    names = collections.Counter(
        node.name
        for module in code
        if module.path.is_relative_to(ROOT / package)
        for node in module.classes
        if not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_functions_are_not_named_by_a_bare_participle(code: list[Module]) -> None:
    """No function has a name such as `_told`.

    Such a name says neither what the function does nor to what.
    """
    names = [(m.path, f.name) for m in code for f in functions(m)]
    assert [each for each in names if PARTICIPLE.fullmatch(each[1])] == []


def test_docstrings_begin_with_a_short_statement() -> None:
    """A docstring's first line has at most 80 characters, and is no question."""
    first_lines = [
        (str(module.path.relative_to(ROOT)), docstring.splitlines()[0])
        for module in modules(*PACKAGES, "tests")
        for node in ast.walk(module.tree)
        if isinstance(node, DOCUMENTED) and (docstring := ast.get_docstring(node))
    ]
    wrong = [
        (path, line)
        for path, line in first_lines
        if len(line) > LONGEST_FIRST_LINE or line.endswith("?")
    ]
    assert first_lines
    assert wrong == []
